# shellcheck shell=bash
# The cache of images, and the few ways in which images.d makes one.

# What an image is made by, as one digest: this file, its own, and its base's.
image_key() { # IMAGE PARTS BASE
  local part
  {
    echo "$1"
    cat "$HERE/lib/build.sh"
    for part in ${2//,/ }; do cat "$HERE/images.d/$part"; done
    if [ "$3" != - ]; then cat "$STATE/images/$3.key"; fi
  } | sha256sum | cut -c 1-16
}

# Several may run at once: whoever needs an image that is in the making waits for it.
ensure() { # IMAGE
  local function parts base
  read -r _ function parts base < <(table | grep "^$1 ")
  [ "$base" = - ] || ensure "$base"
  (
    exec 8>"$STATE/images/$1.lock"
    flock 8
    ensure_locked "$1" "$function" "$parts" "$base"
  )
}

ensure_locked() { # IMAGE FUNCTION PARTS BASE
  local image=$1 base=$4 key record=$STATE/images/$1 since=$SECONDS status=0
  key=$(image_key "$image" "$3" "$base")
  if [ "$(cat "$record.key" 2>/dev/null || :)" = "$key" ]; then
    if [ "$(registry_digest "$image")" = "$(cat "$record.digest")" ]; then return 0; fi
    if [ "$(engine_id "$image")" = "$(cat "$record.id")" ]; then
      push "$image" 2>>"$record.log" || die "$image: not pushed (see $record.log)"
      return 0
    fi
  fi
  rm -f "$record.key"
  [ "$base" = - ] || in_engine "$base"
  # In a subshell of its own and not in a condition, so that errexit holds there.
  set +e
  (set -e; "$2" "$image" "$key"; push "$image") >"$record.log" 2>&1 </dev/null
  status=$?
  set -e
  case $status in
  0) ;;
  "$SKIPPED") say "$image: skipped: $(tail -n 1 "$record.log")"; return 0 ;;
  *) tail -n 25 "$record.log" >&2; die "$image: not built (all of it in $record.log)" ;;
  esac
  echo "$key" >"$record.key" # last: its presence says that the image is complete
  say "$image: $(($(docker image inspect -f '{{.Size}}' "slimrun-ci/$image") / 1000000)) MB, $((SECONDS - since)) s"
}

SKIPPED=77 # an image that this machine cannot have; automake's number for a test that is skipped

engine_id() { docker image inspect -f '{{.Id}}' "slimrun-ci/$1" 2>/dev/null || [ $? = 1 ]; } # IMAGE; nothing if it has none

# By address and not by name: localhost:… in the engine is what tests pull, tag and remove, at any time.
HUB=127.0.0.1:$REGISTRY_PORT/library

push() { # IMAGE
  docker tag "slimrun-ci/$1" "$HUB/$1" && docker push -q "$HUB/$1" >&2 && docker rmi "$HUB/$1" >&2 &&
    engine_id "$1" >"$STATE/images/$1.id" && registry_digest "$1" >"$STATE/images/$1.digest"
}

# The engine may have lost what the registry still has.
in_engine() { # IMAGE
  if [ -n "$(engine_id "$1")" ]; then return 0; fi
  docker pull -q "$HUB/$1" >&2
  docker tag "$HUB/$1" "slimrun-ci/$1"
  docker rmi "$HUB/$1" >&2
}

# How this machine reaches Debian: a proxy, a mirror frozen in time whose dates say nothing.
host_apt_options() {
  apt-config dump --format '%f "%v";%n' | grep -E '^Acquire::(https?::|Check-)' || [ $? = 1 ]
  echo 'Acquire::Languages "none";'
}

# A script that installs PACKAGES and leaves no trace but them.
apt_script() { # PACKAGES
  cat <<END
export DEBIAN_FRONTEND=noninteractive APT_CONFIG=/tmp/apt.conf
cat >/tmp/apt.conf <<'CONF'
$(host_apt_options)
Dpkg::Options:: "--force-unsafe-io";
CONF
apt-get update -q
apt-get install -q -y --no-install-recommends ${1//$'\n'/ }
apt-get clean
rm -rf /tmp/apt.conf /var/lib/apt/lists/* /var/log/apt/* /var/log/*.log /var/cache/ldconfig/*
END
}

# Runs the script on stdin in a new container of IMAGE, left for the caller to commit or copy from. The host's
# network, as a proxy or a mirror is often on its loopback. What `docker run` is told ends up in the committed
# image (variables in its configuration, mounts as empty folders): variables go by stdin, and only a container
# that is thrown away has mounts.
in_container() { # CONTAINER IMAGE [OPTION...]
  local name=$1 image=$2 variable
  shift 2
  docker rm -f "$name" >/dev/null 2>&1 || : # of an interrupted run; most often there is none
  {
    for variable in http_proxy https_proxy no_proxy; do
      if [ -n "${!variable:-}" ]; then printf 'export %s=%q\n' "$variable" "${!variable}"; fi
    done
    cat
  } | docker run -i --name "$name" --network host "$@" "slimrun-ci/$image" bash -euo pipefail -s
}
