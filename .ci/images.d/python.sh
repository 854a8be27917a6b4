# shellcheck shell=bash
# python:<version>: an official-like image, debian and a CPython in /usr/local that ldconfig knows.

PYTHON_PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
# What Docker Hub's slim images have besides debian: the libraries of the standard library's extensions, but
# libtk: _tkinter is there and does not load.
PYTHON_RUNTIME='ca-certificates netbase tzdata libbz2-1.0 libdb5.3 libexpat1 libffi8 libgdbm6 liblzma5 libncursesw6
  libnsl2 libreadline8 libsqlite3-0 libssl3 libtirpc3 libuuid1 zlib1g'
# What its buildpack-deps has: compilers, and headers of everything that a wheel was ever built against. The last line is
# not in there; it makes up for debian:bookworm, which is 40 MB more than its slim, to come to the real size (1.0 GB).
BUILDPACK='autoconf automake bzip2 curl default-libmysqlclient-dev dpkg-dev file g++ gcc git gnupg imagemagick
  libbz2-dev libc6-dev libcurl4-openssl-dev libdb-dev libevent-dev libffi-dev libgdbm-dev libglib2.0-dev libgmp-dev
  libjpeg-dev libkrb5-dev liblzma-dev libmagickcore-dev libmagickwand-dev libmaxminddb-dev libncurses5-dev
  libncursesw5-dev libpng-dev libpq-dev libreadline-dev libsqlite3-dev libssl-dev libtool libwebp-dev libxml2-dev
  libxslt1-dev libyaml-dev make mercurial openssh-client patch procps sq subversion tk-dev unzip uuid-dev wget xz-utils zlib1g-dev
  cmake gfortran liblapack-dev libopenblas-dev'

# debian, a layer of packages, a layer of /usr/local: ARCHIVE is a command that prints the path of its tar.
python_image() { # IMAGE VERSION PREPARE PACKAGES ARCHIVE
  local container=slimrun-ci-python-${1#*:} packages archive
  packages=$(packages_image "$3" "$4")
  archive=$($5)
  # A tar given to `docker cp` is unpacked by the engine as it is: owners, links and modes.
  docker rm -f "$container" 2>/dev/null || : # of an interrupted run; most often there is none
  docker create --name "$container" --network none "$packages" ldconfig
  docker cp -a - "$container:/usr/local" <"$archive"
  docker start -a "$container"
  docker commit --change "ENV PATH=$PYTHON_PATH" --change 'ENV LANG=C.UTF-8' --change "ENV PYTHON_VERSION=$2" \
    --change 'CMD ["python3"]' --change 'ENTRYPOINT []' "$container" "slimrun-ci/$1"
  docker rm "$container"
  check_python "$1"
}

# The layer that images with the same packages share: the name in the engine of debian:bookworm-slim with them.
packages_image() { # PREPARE PACKAGES
  local script name
  script=$1$'\n'$(apt_script "$2")
  name=slimrun-ci/packages:$(cat - "$STATE/images/debian:bookworm-slim.key" <<<"$script" | sha256sum | cut -c 1-16)
  exec 6>"$STATE/cache/${name##*:}.lock"
  flock 6
  if [ -z "$(docker images -q "$name")" ]; then
    in_container "${name//[:\/]/-}" debian:bookworm-slim <<<"$script" >&2
    docker commit "${name//[:\/]/-}" "$name" >&2
    docker rm "${name//[:\/]/-}" >&2
  fi
  echo "$name"
}

# All that the standard library loads must be there, and the interpreter must find its libpython.
check_python() { # IMAGE
  docker run --rm -i --network none "slimrun-ci/$1" python3 - <<'END'
import bz2, ctypes, curses, lzma, readline, sqlite3, ssl, sys, sysconfig, uuid, zlib
assert sysconfig.get_config_var("Py_ENABLE_SHARED"), "not built shared"
assert sys.prefix == sysconfig.get_config_var("prefix") == "/usr/local", sysconfig.get_config_var("prefix")
print(sys.version, ssl.OPENSSL_VERSION, sqlite3.sqlite_version)
END
  docker run --rm --network none "slimrun-ci/$1" pip --version
}

python_slim_image() { # IMAGE KEY
  python_image "$1" "$CPYTHON" : "$PYTHON_RUNTIME" cpython_archive
}

# The full one is no slim one: its packages come with documentation and translations.
python_full_image() { # IMAGE KEY
  python_image "$1" "$CPYTHON" 'rm /etc/dpkg/dpkg.cfg.d/99mmdebstrap' "$PYTHON_RUNTIME $BUILDPACK" cpython_archive
}
