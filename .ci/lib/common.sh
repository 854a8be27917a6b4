# shellcheck shell=bash
# Shared by .ci/services and .ci/images: where state lives, how to talk, how to start and stop a process.

# shellcheck disable=SC2034 # other files read them
{
  STATE=${SLIMRUN_CI_STATE:-${XDG_CACHE_HOME:-$HOME/.cache}/slimrun-ci}
  REGISTRY_PORT=${SLIMRUN_TEST_REGISTRY_PORT:-5000}
  REGISTRY=localhost:$REGISTRY_PORT
  SOCKET=$STATE/docker/docker.sock
}

say() { printf '.ci: %s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

need_root() {
  [ "$(id -u)" = 0 ] || die "needs root: it installs Debian packages and starts dockerd"
}

# A pid file outlives its process (kill -9, a restored snapshot) and the number may by then be someone else's:
# only a process whose command line holds MATCH is ours. A zombie (a container without an init) has none.
alive() { # PIDFILE MATCH
  local pid
  [ -s "$1" ] || return 1
  pid=$(cat "$1")
  [ -r "/proc/$pid/cmdline" ] && tr '\0' ' ' <"/proc/$pid/cmdline" | grep -qF -- "${2:- }"
}

# A session of its own, no terminal, no descriptor of the caller's: it survives the script, and a caller
# that reads our output to its end is not kept waiting. The descriptor 9 is the lock of `services`.
daemon() { # PIDFILE LOG COMMAND...
  local pidfile=$1 log=$2
  shift 2
  # shellcheck disable=SC2016
  setsid --fork bash -c 'echo $$ >"$0"; exec "$@"' "$pidfile" "$@" </dev/null >"$log" 2>&1 9>&-
}

# Waits until COMMAND succeeds; gives up at once when the process has gone.
wait_for() { # WHAT PIDFILE LOG SECONDS COMMAND...
  local what=$1 pidfile=$2 log=$3 tries=$(($4 * 5))
  shift 4
  until "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    if [ "$tries" -le 0 ] || { [ -s "$pidfile" ] && ! alive "$pidfile" ""; }; then
      say "$what did not start; the end of $log:"
      tail -n 25 "$log" >&2
      return 1
    fi
    sleep 0.2
  done
}

halt() { # WHAT PIDFILE MATCH SIGNAL
  local tries=100
  if alive "$2" "$3"; then
    kill -s "$4" "$(cat "$2")"
    while alive "$2" "$3"; do
      tries=$((tries - 1))
      [ "$tries" -gt 0 ] || die "$1 does not stop (process $(cat "$2"))"
      sleep 0.2
    done
  fi
  rm -f "$2"
}
