#!/bin/sh
# Sees to it that a PostgreSQL server is there: found on the machine, or fetched into the cache folder,
# checked by its hash. Needs no root. $1: the folder of a built `banyan`, if there is one.
set -eu
if [ -x "${1:-}/banyan" ]; then
    "$1/banyan" postgres >/dev/null 2>&1 && exit 0
else
    for bin in $(command -v initdb 2>/dev/null || true) /usr/lib/postgresql/*/bin/initdb /usr/pgsql-*/bin/initdb \
        /usr/local/pgsql/bin/initdb "${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}"/banyan/postgres-*/bin/initdb \
        /var/cache/banyan/postgres-*/bin/initdb; do
        [ -x "$bin" ] && exit 0
    done
fi
echo "no PostgreSQL server was found; fetching one into the cache folder (about 2 minutes, 15 MB)"
cargo run --release --quiet -p banyan-postgres --features fetch --bin fetch-postgres
