# shellcheck shell=bash
# CPython's source archive in $STATE/src, of which tests make a git repository. The build of python:3.11-slim leaves it there,
# but not where that build came out of the cache, or the folder was emptied.

cpython_source() {
  if compgen -G "$STATE/src/python3.11_$CPYTHON.orig.tar.*" >/dev/null; then return 0; fi
  in_engine debian:bookworm-slim
  {
    echo "export APT_CONFIG=/tmp/apt.conf"
    printf 'cat >/tmp/apt.conf <<"CONF"\n%s\nCONF\n' "$(host_apt_options)"
    cat <<'END'
sed -n 's/^deb /deb-src /p' /etc/apt/sources.list >/etc/apt/sources.list.d/sources.list
apt-get update -q
cd /src && apt-get source --download-only --tar-only python3.11
END
  } | in_container slimrun-ci-source debian:bookworm-slim -v "$STATE/src:/src" >"$STATE/images/source.log" 2>&1 ||
    die "no source archive of CPython (see $STATE/images/source.log)"
  docker rm slimrun-ci-source >/dev/null
}
