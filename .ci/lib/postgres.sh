# shellcheck shell=bash
# PostgreSQL on loopback that speaks nothing but TLS, with a certificate from an authority of its own.

PG=$STATE/postgres
PG_PORT=${SLIMRUN_TEST_POSTGRES_PORT:-54329}
PG_PASSWORD=slimrun-ci # loopback only, test data only
PG_CA=$PG/ca.crt

# The server refuses to run as root. Its data belong to Debian's `postgres`, who needs to reach them:
# a home folder (0700) may stand in the way, and is not ours to open, so the data are in /var/lib.
PG_DATA=/var/lib/slimrun-ci/postgres-$PG_PORT
as_postgres() { (cd / && runuser -u postgres -- "$@" 9>&-); }

pg_bin() { # NAME
  local found
  found=$(printf '%s\n' /usr/lib/postgresql/*/bin/"$1" | sort -V | tail -n 1)
  [ -x "$found" ] || die "no $1 in /usr/lib/postgresql"
  echo "$found"
}

make_certificates() {
  openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj '/CN=slimrun test CA' \
    -keyout "$PG/ca.key" -out "$PG/ca.crt.new" 2>"$STATE/openssl.log"
  openssl req -newkey rsa:2048 -nodes -subj /CN=localhost \
    -keyout "$PG/server.key" -out "$PG/server.csr" 2>>"$STATE/openssl.log"
  openssl x509 -req -in "$PG/server.csr" -CA "$PG/ca.crt.new" -CAkey "$PG/ca.key" -CAcreateserial -days 3650 \
    -extfile <(echo 'subjectAltName=DNS:localhost,IP:127.0.0.1') -out "$PG/server.crt" 2>>"$STATE/openssl.log"
}

make_cluster() {
  rm -rf "$PG_DATA" "$PG"
  install -d -m 755 "$PG" "$(dirname "$PG_DATA")"
  install -d -m 700 -o postgres -g postgres "$PG_DATA"
  make_certificates
  install -m 600 -o postgres /dev/stdin "$PG_DATA.password" <<<"$PG_PASSWORD"
  as_postgres "$(pg_bin initdb)" -D "$PG_DATA" -E UTF8 --locale=C.UTF-8 --auth=scram-sha-256 --username=slimrun \
    --pwfile="$PG_DATA.password" >"$STATE/initdb.log" 2>&1 || { tail -n 25 "$STATE/initdb.log" >&2; die "initdb failed"; }
  rm "$PG_DATA.password"
  install -m 600 -o postgres -g postgres "$PG/server.key" "$PG/server.crt" "$PG_DATA/"
  cat >>"$PG_DATA/postgresql.conf" <<END
listen_addresses = '127.0.0.1'
port = $PG_PORT
unix_socket_directories = ''
ssl = on
ssl_cert_file = 'server.crt'
ssl_key_file = 'server.key'
password_encryption = scram-sha-256
fsync = off
END
  # hostssl only: a client without TLS is turned away, so that a test cannot pass in plain text.
  echo 'hostssl all all 127.0.0.1/32 scram-sha-256' >"$PG_DATA/pg_hba.conf"
  mv "$PG/ca.crt.new" "$PG_CA" # last: its presence says that the cluster is complete
}

pg_answers() { PGPASSWORD=$PG_PASSWORD PGSSLROOTCERT=$PG_CA "$(pg_bin psql)" -qtAc 'select 1' "$(pg_dsn) sslmode=verify-full"; }
pg_database() { PGPASSWORD=$PG_PASSWORD PGSSLROOTCERT=$PG_CA "$(pg_bin psql)" -qtAc 'select 1' "$(pg_dsn postgres) sslmode=verify-full"; }
pg_dsn() { echo "host=127.0.0.1 port=$PG_PORT user=slimrun password=$PG_PASSWORD dbname=${1:-slimrun}"; }

start_postgres() {
  if alive "$STATE/postgres.pid" "$PG_DATA" && pg_answers >/dev/null 2>&1; then return 0; fi
  halt postgres "$STATE/postgres.pid" "$PG_DATA" QUIT
  if [ ! -e "$PG_CA" ] || [ ! -e "$PG_DATA/PG_VERSION" ]; then make_cluster; fi
  # A stale postmaster.pid whose number is taken by a stranger would keep the server from starting.
  rm -f "$PG_DATA/postmaster.pid"
  daemon "$STATE/postgres.pid" "$STATE/postgres.log" \
    setpriv --reuid postgres --regid postgres --init-groups "$(pg_bin postgres)" -D "$PG_DATA"
  wait_for PostgreSQL "$STATE/postgres.pid" "$STATE/postgres.log" 30 pg_database
  pg_answers >/dev/null 2>&1 ||
    PGPASSWORD=$PG_PASSWORD PGSSLROOTCERT=$PG_CA "$(pg_bin createdb)" --maintenance-db="$(pg_dsn postgres) sslmode=verify-full" slimrun
  pg_answers >/dev/null
}

stop_postgres() { halt postgres "$STATE/postgres.pid" "$PG_DATA" INT; }
