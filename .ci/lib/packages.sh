# shellcheck shell=bash
# Debian packages that the services, the images and the tests need.

# gcc only recommends libc6-dev, and we install without recommended packages: both are named.
# shellcheck disable=SC2034 # services reads it
PACKAGES=(
  docker.io docker-registry iproute2 iptables
  postgresql openssl
  mmdebstrap busybox-static
  gcc libc6-dev musl binutils make git curl ca-certificates xz-utils
  skopeo umoci bubblewrap gpgv gdb
)
# The project needs Python 3.11 with venv, whoever made it.
python3.11 -c 'import ensurepip, venv' 2>/dev/null || PACKAGES+=(python3 python3-venv)

missing_packages() { # NAME...
  local name
  for name; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || echo "$name"
  done
}

# docker.io and postgresql start services of their own when installed; policy-rc.d is Debian's way to say no.
# A machine that has a policy already (every Docker-made one does) keeps it.
install_packages() { # NAME...
  local missing policy=/usr/sbin/policy-rc.d ours=no status=0
  mapfile -t missing < <(missing_packages "$@")
  [ "${#missing[@]}" -gt 0 ] || return 0
  need_root
  say "installing ${missing[*]}"
  if [ ! -e "$policy" ]; then
    ours=yes
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  {
    apt-get update -q &&
      DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
  } >"$STATE/apt.log" 2>&1 9>&- </dev/null || status=$?
  [ "$ours" = no ] || rm -f "$policy"
  [ "$status" = 0 ] || { tail -n 25 "$STATE/apt.log" >&2; die "apt-get failed ($status)"; }
}
