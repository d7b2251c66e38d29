#!/bin/sh
# The payments module against localstripe, a server of Stripe's shape that is not ours. Fetches it once into target/; where it
# cannot be had, says so and is no failure. $1: arguments for cargo test.
set -eu
folder=$(pwd)/target/localstripe
if ! [ -x "$folder/bin/python" ] || ! "$folder/bin/python" -c 'import localstripe' 2>/dev/null; then
    rm -rf "$folder"
    if ! python3 -m venv "$folder" || ! "$folder/bin/pip" --quiet install localstripe==1.15.10; then
        echo "stripe: skipped, localstripe cannot be had here"
        exit 0
    fi
fi
port=$("$folder/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
# Its own start listens on every address; and it keeps a file where it runs.
(cd "$folder" && exec bin/python -c 'import sys; from aiohttp import web; from localstripe.server import app
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)' "$port") &
server=$!
trap 'kill "$server" 2>/dev/null; wait "$server" 2>/dev/null || true' EXIT
until "$folder/bin/python" -c 'import socket, sys; socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1)' "$port" 2>/dev/null; do
    kill -0 "$server"
    sleep 0.1
done
# Words without blanks.
# shellcheck disable=SC2086
BANYAN_STRIPE_URL="http://127.0.0.1:$port" cargo test ${1:-} --quiet --test it stripe:: -- --ignored
