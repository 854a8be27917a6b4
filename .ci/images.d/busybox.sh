# shellcheck shell=bash
# busybox:glibc: Debian's static busybox, and beside it the glibc family of trixie, as the real one has it:
# real files in /lib, which is no link here; /lib64 leads to it; no package database, no ld.so.cache.

busybox_image() { # IMAGE KEY
  local root=$STATE/cache/busybox-$2 name container
  rm -rf "$root"
  mkdir -p "$root"/{bin,dev,etc,home,lib,root,tmp,usr/bin,usr/sbin,var/spool/mail,var/www}
  chmod 700 "$root/root"
  chmod 1777 "$root/tmp"
  ln -s lib "$root/lib64"
  ln -s ../../bin/env "$root/usr/bin/env"
  container=$(docker create slimrun-ci/debian:trixie-slim)
  for name in ld-linux-x86-64.so.2 libc.so.6 libm.so.6 libpthread.so.0 libresolv.so.2 libdl.so.2 librt.so.1 \
    libnss_compat.so.2 libnss_dns.so.2 libnss_files.so.2 libnss_hesiod.so.2; do
    docker cp -L "$container:/usr/lib/x86_64-linux-gnu/$name" "$root/lib/$name"
  done
  docker rm "$container"
  install -m 755 /bin/busybox "$root/bin/busybox"
  for name in $("$root/bin/busybox" --list); do
    [ -e "$root/bin/$name" ] || ln "$root/bin/busybox" "$root/bin/$name"
  done
  cat >"$root/etc/passwd" <<'END'
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
bin:x:2:2:bin:/bin:/bin/false
sys:x:3:3:sys:/dev:/bin/false
sync:x:4:100:sync:/bin:/bin/sync
mail:x:8:8:mail:/var/spool/mail:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
operator:x:37:37:Operator:/var:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
END
  cat >"$root/etc/group" <<'END'
root:x:0:
daemon:x:1:
bin:x:2:
sys:x:3:
tty:x:5:
mail:x:8:
www-data:x:33:
operator:x:37:
users:x:100:
nobody:x:65534:
END
  printf 'passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files dns\nservices: files\nprotocols: files\n' \
    >"$root/etc/nsswitch.conf"
  tar -C "$root" --sort=name --numeric-owner --owner=0 --group=0 -c . |
    docker import --change 'CMD ["sh"]' - "slimrun-ci/$1"
  rm -rf "$root"
  # The family that lies beside must be a whole one: its own loader lists its own libc.
  docker run --rm --network none "slimrun-ci/$1" /lib64/ld-linux-x86-64.so.2 --verify /lib/libc.so.6
}
