# shellcheck shell=bash
# A registry on loopback, in plain HTTP, which engines and slimrun accept for localhost.

start_registry() {
  local config=$STATE/registry.yml
  if alive "$STATE/registry.pid" "$config" && registry_answers; then return 0; fi
  halt docker-registry "$STATE/registry.pid" "$config" KILL
  if registry_answers; then die "port $REGISTRY_PORT has another server: set SLIMRUN_TEST_REGISTRY_PORT"; fi
  mkdir -p "$STATE/registry"
  cat >"$config" <<END
version: 0.1
log: {level: warn}
storage:
  filesystem: {rootdirectory: $STATE/registry}
  delete: {enabled: true}
http:
  addr: 127.0.0.1:$REGISTRY_PORT
END
  daemon "$STATE/registry.pid" "$STATE/registry.log" docker-registry serve "$config"
  wait_for "the registry" "$STATE/registry.pid" "$STATE/registry.log" 15 registry_answers
}

registry_answers() { curl -sf -o /dev/null --noproxy "*" --max-time 5 "http://127.0.0.1:$REGISTRY_PORT/v2/"; }

stop_registry() { halt docker-registry "$STATE/registry.pid" "$STATE/registry.yml" TERM; }

# The digest that the registry has for NAME:TAG, or nothing.
registry_digest() { # NAME:TAG
  local url=http://127.0.0.1:$REGISTRY_PORT/v2/library/${1%:*}/manifests/${1#*:}
  curl -s --noproxy '*' --max-time 5 -I -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' "$url" |
    tr -d '\r' | awk 'tolower($1) == "docker-content-digest:" { print $2 }'
}
