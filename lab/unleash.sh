#!/bin/sh
# Fetches a real Unleash server into the folder $1, once: 200 MB from npm's registry. Where node or npm is missing it says so and ends with
# 3: what needs a server is skipped.
set -eu
version=8.2.0
skipped() {
    echo "Unleash is skipped, and all that needs it: there is no $1 (root: apt-get install $2, or your system's way)" >&2
    exit 3
}
major=$(node --version 2>/dev/null | sed -n 's/^v\([0-9]*\).*/\1/p')
[ "${major:-0}" -ge 20 ] || skipped "Node 20" nodejs
[ -e "$1/node_modules" ] && exit 0
command -v npm >/dev/null || skipped npm npm
mkdir -p "$1"
folder=$(cd "$1" && pwd)
made=$(mktemp -d "$folder/fetching.XXXXXX")
trap 'rm -rf "$made"' EXIT
echo '{"private": true}' >"$made/package.json"
(cd "$made" && npm install --silent --no-audit --no-fund --no-update-notifier "unleash-server@$version") >"$made/log" 2>&1 ||
    { cat "$made/log" >&2; exit 1; }
# Whoever comes second finds it made.
mv -T "$made/node_modules" "$folder/node_modules" 2>/dev/null || [ -e "$folder/node_modules" ]
