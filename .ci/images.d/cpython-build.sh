# shellcheck shell=bash
# Runs inside the builder container, after the installation of what it needs: source in /src, result in /cpython.tar.
: "${CPYTHON:?}"
if ! compgen -G "/src/python3.11_$CPYTHON.orig.tar.*" >/dev/null; then
  # The archive only: the security pool's diff may be gone, and we do not want Debian's changes.
  sed -n 's/^deb /deb-src /p' /etc/apt/sources.list >/etc/apt/sources.list.d/sources.list
  apt-get update -q
  (cd /src && apt-get source --download-only --tar-only python3.11)
fi

mkdir -p /build
tar -C /build --strip-components=1 -xf "/src/python3.11_$CPYTHON.orig.tar."*
cd /build || exit 1
./configure --build="$(dpkg-architecture -q DEB_BUILD_GNU_TYPE)" --prefix=/usr/local --enable-shared \
  --enable-loadable-sqlite-extensions --enable-option-checking=fatal --with-ensurepip
# Made for CI's patience, in ways that change no file's name: less optimisation, no symbols (the Hub strips them), and
# no byte code (three levels of it, a minute, all removed below): with --help compileall ends at once.
# As in the Hub's, python finds its libpython by no run path, but by ldconfig.
OPT='-DNDEBUG -fwrapv -O1 -Wall'
sed -i 's/compileall.py -j0/compileall.py --help/' Makefile
make -s -j "$(nproc)" LDFLAGS=-Wl,--strip-all OPT="$OPT"
rm -rf Lib/test Lib/*/test Lib/*/tests # one fork a file, to be removed below
make -s install LDFLAGS=-Wl,--strip-all OPT="$OPT"
cd /
ldconfig
export PYTHONDONTWRITEBYTECODE=1
PIP_CERT=/host-ca.crt pip3 install --no-cache-dir --no-compile --disable-pip-version-check --root-user-action=ignore \
  'setuptools==65.5.1' 'wheel==0.45.1'
# As the Hub's recipe does.
find /usr/local -depth \( \
  \( -type d -a \( -name test -o -name tests -o -name idle_test \) \) -o \
  \( -type f -a \( -name '*.pyc' -o -name '*.pyo' -o -name '*.a' \) \) \) -exec rm -rf '{}' +
for name in idle3 pydoc3 python3 python3-config; do
  ln -sT "$name" "/usr/local/bin/${name%3*}${name#*3}"
done
[ -e /usr/local/bin/pip ] || ln -sT pip3 /usr/local/bin/pip
tar -C /usr/local --sort=name --numeric-owner -cf /cpython.tar .
