#!/bin/sh
# Holds a fresh shop's public API to its own document, by each role, with schemathesis (PyPI; fetched into a virtual
# environment below target/). EXAMPLES per operation, 200 unless told; SEED repeats a run. Needs python3 and the package index.
set -eu
cd "$(dirname "$0")/.."
root=$(pwd)
examples=${EXAMPLES:-200}
banyan=${BANYAN_BIN:-target/release/banyan}
venv=target/schemathesis
if ! command -v python3 >/dev/null || ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    echo "schemathesis is skipped: it needs python3 with venv (root: apt-get install python3-venv, or your system's way)"
    exit 0
fi
[ -x "$venv/bin/schemathesis" ] || { python3 -m venv "$venv"; "$venv/bin/pip" -q install schemathesis==4.32.5; }
data=$(mktemp -d); chmod 711 "$data"
"$banyan" serve --data "$data/shop" --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 \
    --rate-principal 1000000 --rate-address 1000000 > "$data/out" 2> "$data/err" &
shop=$!
trap 'kill -TERM $shop 2>/dev/null; wait $shop 2>/dev/null || true; rm -rf "$data"' EXIT INT TERM
until grep -q "the shop is open" "$data/out"; do
    kill -0 $shop 2>/dev/null || { cat "$data/err"; exit 1; }
    sleep 0.1
done
api=$(sed -n 's/^the shop is open: \([^ ]*\).*/\1/p' "$data/out")
failed=0
for role in customer staff service; do
    token=$("$banyan" token --data "$data/shop" --role "$role" --valid-s 86400)
    echo "schemathesis as $role, $examples examples per operation"
    # It keeps a cache of failures where it is started: there, it goes with the shop's data.
    (cd "$data" && "$root/$venv/bin/schemathesis" --config-file "$root/lab/schemathesis.toml" run "$api/openapi.json" \
        --header "Authorization: Bearer $token" --checks all --max-examples "$examples" \
        --phases examples,coverage,fuzzing,stateful --no-color ${SEED:+--seed "$SEED"}) || failed=1
done
exit $failed
