#!/usr/bin/env bash
# Installs wrk, which makes the load of the benchmarks.
set -euo pipefail
command -v wrk >/dev/null && exit 0
root=()
if [ "$(id -u)" -ne 0 ]; then root=(sudo); fi
"${root[@]}" apt-get update -qq
"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends wrk >/dev/null
