#!/usr/bin/env bash
# Installs what the tests need beside Python: promtool, which checks Prometheus' files.
set -euo pipefail
command -v promtool >/dev/null && exit 0
root=()
if [ "$(id -u)" -ne 0 ]; then root=(sudo); fi
"${root[@]}" apt-get update -qq
"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends prometheus >/dev/null
