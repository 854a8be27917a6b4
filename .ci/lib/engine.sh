# shellcheck shell=bash
# A private Docker Engine: own data, own socket; a person's own engine on /var/run/docker.sock is not touched.

ENGINE=$STATE/docker
ENGINE_PID=$STATE/dockerd.pid
CONTAINERD_PID=$ENGINE/exec/containerd/containerd.pid

# A newer client may shadow Debian's; take the first that this engine answers.
docker() {
  local client
  for client in $(type -aP docker); do
    if DOCKER_HOST=unix://$SOCKET "$client" version >/dev/null 2>&1; then
      DOCKER_HOST=unix://$SOCKET "$client" "$@"
      return
    fi
  done
  say "the engine on $SOCKET does not answer"
  return 1
}

engine_answers() {
  [ "$(curl -s --max-time 5 --unix-socket "$SOCKET" http://engine/_ping)" = OK ]
}

storage_driver() {
  local probe=$ENGINE/probe driver=vfs
  mkdir -p "$probe"/{lower,upper,work,merged}
  if mount -t overlay -o "lowerdir=$probe/lower,upperdir=$probe/upper,workdir=$probe/work" overlay "$probe/merged" 2>/dev/null; then
    umount "$probe/merged"
    driver=overlay2
  fi
  rm -rf "$probe"
  echo "$driver"
}

# dockerd refuses to start on a machine that has no cgroup mounted (a bare sandbox).
mount_cgroups() {
  grep -qE ' cgroup2? ' /proc/self/mounts || mount -t cgroup2 none /sys/fs/cgroup
}

start_engine() {
  local driver
  [ "${#SOCKET}" -lt 100 ] || die "too long for a socket's name: $SOCKET (set SLIMRUN_CI_STATE)"
  if alive "$ENGINE_PID" "$ENGINE/data" && engine_answers; then return 0; fi
  mkdir -p "$ENGINE"/{data,exec}
  halt dockerd "$ENGINE_PID" "$ENGINE/data" KILL # one that lives and does not answer
  # dockerd trusts a pid file of containerd and would signal whatever has that number now.
  alive "$CONTAINERD_PID" "$ENGINE/exec" || rm -f "$CONTAINERD_PID" "$ENGINE"/exec/containerd/*.sock*
  rm -f "$SOCKET" "$ENGINE/docker.pid"
  echo '{}' >"$ENGINE/daemon.json" # else dockerd reads /etc/docker/daemon.json
  mount_cgroups
  driver=$(storage_driver)
  [ "$driver" = overlay2 ] || say "no overlay file system here: the engine uses $driver (slow, large)"
  start_bridge
  # Should a system containerd run, dockerd joins it: the namespaces keep ours apart.
  daemon "$ENGINE_PID" "$STATE/dockerd.log" \
    dockerd --data-root "$ENGINE/data" --exec-root "$ENGINE/exec" --pidfile "$ENGINE/docker.pid" \
    --host "unix://$SOCKET" --config-file "$ENGINE/daemon.json" --group root \
    --containerd-namespace slimrun-ci --containerd-plugins-namespace slimrun-ci-plugins \
    --storage-driver "$driver" --bridge "$BRIDGE" --iptables=false
  wait_for "the Docker Engine" "$ENGINE_PID" "$STATE/dockerd.log" 60 engine_answers
}

stop_engine() {
  local mount
  halt dockerd "$ENGINE_PID" "$ENGINE/data" TERM
  halt containerd "$CONTAINERD_PID" "$ENGINE/exec" TERM # dockerd stops it, unless it was killed itself
  # What a killed engine leaves: mounts of containers and of their network namespaces.
  awk -v root="$ENGINE/" 'index($2, root) == 1 { print $2 }' /proc/self/mounts | sort -r |
    while read -r mount; do umount -l "$mount"; done
  stop_bridge
}
