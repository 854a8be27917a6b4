# shellcheck shell=bash
# python:3.7-slim out of a pyenv's 3.7, where the machine has one: no suite of Debian's has that version.

pyenv_prefix() {
  local found
  for found in "${PYENV_ROOT:-/root/.pyenv}"/versions/3.7.*; do
    if [ -x "$found/bin/python3.7" ]; then echo "$found"; fi
  done | sort -V | tail -n 1
}

# Made over so that it looks as if built for /usr/local as the Hub's: no run path, no symbols, no other prefix
# in scripts and configuration; and in site-packages pip and setuptools only, whatever a user put there.
python_pyenv_image() { # IMAGE KEY
  local prefix root=$STATE/cache/pyenv-$2 file name
  prefix=$(pyenv_prefix)
  if [ -z "$prefix" ]; then
    echo "no pyenv with a Python 3.7 on this machine"
    exit "$SKIPPED"
  fi
  install_packages chrpath
  rm -rf "$root"
  mkdir "$root"
  cp -a "$prefix/." "$root"
  find "$root/lib/python3.7/site-packages" -mindepth 1 -maxdepth 1 -not \( \
    -name 'pip' -o -name 'pip-*' -o -name 'setuptools*' -o -name pkg_resources -o -name easy_install.py -o -name README.txt \
    \) -exec rm -rf '{}' +
  find "$root" -depth \( \
    \( -type d -a \( -name test -o -name tests -o -name idle_test -o -name __pycache__ \) \) -o \
    \( -type f -a \( -name '*.pyc' -o -name '*.pyo' -o -name '*.a' \) \) \) -exec rm -rf '{}' +
  find "$root" -type f -exec chmod u+w '{}' +
  grep -rIlF "$prefix" "$root" | while read -r file; do sed -i "s|$prefix|/usr/local|g" "$file"; done
  while read -r file; do
    if [ "$(head -c 4 "$file" | tail -c 3)" = ELF ]; then
      strip --strip-all "$file"
      chrpath --delete "$file"
    fi
  done < <(find "$root" -type f \( -name '*.so*' -o -path '*/bin/*' \))
  for name in idle3 pydoc3 python3 python3-config; do
    file=$root/bin/${name%3*}${name#*3}
    [ -e "$file" ] || ln -sT "$name" "$file"
  done
  tar -C "$root" --sort=name --numeric-owner --owner=0 --group=0 -cf "$root.tar" .
  python_image "$1" "${prefix##*/}" : "$PYTHON_RUNTIME" "echo $root.tar"
  rm -rf "$root" "$root.tar"
}
