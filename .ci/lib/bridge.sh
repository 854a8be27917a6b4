# shellcheck shell=bash
# The network of the private engine. Left to itself, dockerd shares docker0 with every other engine and flushes the
# chains that a person's own engine keeps in iptables; so it gets a bridge of ours and leaves iptables alone.

BRIDGE=slimrun-ci0
BRIDGE_ADDRESS=10.213.17.1/24

# The kernel may know nft, legacy tables or neither.
iptables_command() {
  local command
  for command in iptables iptables-legacy; do
    if "$command" -t nat -S >/dev/null 2>&1; then
      echo "$command"
      return
    fi
  done
}

# A rule is deleted before it is inserted, so that none stands twice.
each_rule() { # DELETE|INSERT
  local command rule
  command=$(iptables_command)
  [ -n "$command" ] || return 0
  while read -r rule; do
    # shellcheck disable=SC2086
    while "$command" ${rule/ADD/-D} 2>/dev/null; do :; done
    # shellcheck disable=SC2086
    if [ "$1" = INSERT ]; then "$command" ${rule/ADD/-I}; fi
  done <<END
-t nat ADD POSTROUTING -s $BRIDGE_ADDRESS ! -o $BRIDGE -j MASQUERADE
-t filter ADD FORWARD -i $BRIDGE -j ACCEPT
-t filter ADD FORWARD -o $BRIDGE -j ACCEPT
END
}

start_bridge() {
  if ! ip link show "$BRIDGE" >/dev/null 2>&1; then
    ip link add "$BRIDGE" type bridge
    ip address add "$BRIDGE_ADDRESS" dev "$BRIDGE"
  fi
  ip link set "$BRIDGE" up
  echo 1 >/proc/sys/net/ipv4/ip_forward
  [ -n "$(iptables_command)" ] || say "no iptables here: containers reach no further than the host"
  each_rule INSERT
}

stop_bridge() {
  ip link show "$BRIDGE" >/dev/null 2>&1 || return 0
  each_rule DELETE
  ip link delete "$BRIDGE"
}
