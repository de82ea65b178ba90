#!/bin/sh
# Installs what the tests of this folder need and npm does not bring: redis-server and kcat, by apt-get, where it is there and
# we may. Quiet, may be run any number of times, and never fails: tests of what is missing are reported as not run.
missing=''
command -v redis-server >/dev/null 2>&1 || missing="$missing redis-server"
command -v kcat >/dev/null 2>&1 || missing="$missing kcat"
[ -z "$missing" ] && exit 0
[ "$(id -u 2>/dev/null)" = 0 ] || exit 0
command -v apt-get >/dev/null 2>&1 || exit 0

export DEBIAN_FRONTEND=noninteractive
# Tests start their own servers: the package must not start one.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy" && trap 'rm -f "$policy"' EXIT
fi
install() { timeout 300 apt-get install -y -qq --no-install-recommends $missing </dev/null >/dev/null 2>&1; }
install || { timeout 120 apt-get update -qq </dev/null >/dev/null 2>&1 && install; }
exit 0
