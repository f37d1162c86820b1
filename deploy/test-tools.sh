#!/usr/bin/env bash
# Installs what the tests need beside Python: promtool, which checks Prometheus' files, a
# PostgreSQL server for the store's tests, a Redis server for the limits', wrk, which makes the load
# of the memory's test, a browser without a window that looks at the pages, with the font it needs,
# and the library that vLLM's CPU build links.
set -euo pipefail
missing=()
command -v promtool >/dev/null || missing+=(prometheus)
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
command -v redis-server >/dev/null || missing+=(redis-server)
command -v wrk >/dev/null || missing+=(wrk)
command -v chromium-headless-shell >/dev/null || missing+=(chromium-headless-shell fonts-dejavu-core)
ldconfig -p | grep -q 'libnuma\.so\.1' || missing+=(libnuma1)
[ ${#missing[@]} -eq 0 ] && exit 0
root=()
if [ "$(id -u)" -ne 0 ]; then root=(sudo); fi
"${root[@]}" apt-get update -qq
"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
