# shellcheck shell=bash
# debian:<suite>-slim out of Debian's packages; as in the real one, dpkg leaves documentation out.

# The host's mirror, if it has one of its own.
mirror_of() { # SUITE DEFAULT
  local found
  # shellcheck disable=SC2016
  found=$(apt-get indextargets --format '$(SUITE) $(REPO_URI)' | awk -v suite="$1" '$1 == suite && !n++ { print $2 }')
  echo "${found:-$2}"
}

debian_image() { # IMAGE KEY
  local suite=${1#debian:} root=$STATE/cache/debian-$2.tar main security options=()
  suite=${suite%-slim}
  main=$(mirror_of bookworm http://deb.debian.org/debian)
  security=$(mirror_of bookworm-security http://deb.debian.org/debian-security)
  # The layout of the real ones: bullseye has a /bin of its own, trixie's base-files merges by itself, and
  # bookworm's usrmerge would bring all of perl.
  if [ "$suite" = bookworm ]; then
    options=(--include=usr-is-merged --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr)
  fi
  host_apt_options >"$STATE/apt-host.conf"
  # Without mode=root mmdebstrap may pick a user namespace. Ways to reach a mirror are the host's, and stay out.
  # shellcheck disable=SC2016
  if ! mmdebstrap --mode=root --variant=minbase --format=tar --skip=output/dev "${options[@]}" \
    --aptopt="$STATE/apt-host.conf" --dpkgopt=force-unsafe-io \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-include=/usr/share/locale/locale.alias' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --customize-hook='rm -f "$1"/etc/resolv.conf "$1"/etc/hostname "$1"/etc/apt/apt.conf.d/99mmdebstrap' \
    --customize-hook='rm -rf "$1"/var/log/*.log "$1"/var/log/apt/* "$1"/var/cache/ldconfig/*' \
    "$suite" "$root" \
    "deb $main $suite main" "deb $main $suite-updates main" "deb $security $suite-security main"; then
    if [ "$suite" = bullseye ]; then # going out of support: it may have left the mirrors
      echo "bullseye is not to be had from $main"
      exit "$SKIPPED"
    fi
    exit 1
  fi
  docker import --change 'CMD ["bash"]' "$root" "slimrun-ci/$1"
  rm "$root"
}
