# shellcheck shell=bash
# CPython 3.11.2 out of Debian's source package, built as the recipe of Docker Hub's python does
# (less PGO and LTO, which take ten times as long and change no file's name), into one archive of /usr/local.

CPYTHON=3.11.2
# The -dev packages of Docker Hub's recipe.
CPYTHON_NEEDS='dpkg-dev gcc libc6-dev make xz-utils libbluetooth-dev libbz2-dev libdb-dev libffi-dev libgdbm-dev
  liblzma-dev libncursesw5-dev libnsl-dev libreadline-dev libsqlite3-dev libssl-dev tk-dev uuid-dev zlib1g-dev ca-certificates'

# The path of the archive, which two images share. A later test needs the source itself: it stays in $STATE/src.
cpython_archive() {
  local key archive
  key=$(cat "$HERE/images.d/cpython.sh" "$HERE/images.d/cpython-build.sh" "$STATE/images/debian:bookworm-slim.key" | sha256sum | cut -c 1-16)
  archive=$STATE/cache/cpython-$CPYTHON-$key.tar
  exec 7>"$STATE/cache/cpython.lock"
  flock 7
  if [ ! -e "$archive" ]; then
    # This container is thrown away, so mounts are no matter. PyPI may need the host's authorities.
    {
      echo "CPYTHON=$CPYTHON"
      apt_script "$CPYTHON_NEEDS"
      cat "$HERE/images.d/cpython-build.sh"
    } | in_container slimrun-ci-cpython debian:bookworm-slim \
      -v "$STATE/src:/src" -v /etc/ssl/certs/ca-certificates.crt:/host-ca.crt:ro >&2
    docker cp slimrun-ci-cpython:/cpython.tar "$archive.new" >&2
    docker rm slimrun-ci-cpython >&2
    mv "$archive.new" "$archive"
  fi
  echo "$archive"
}
