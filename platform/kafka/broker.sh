#!/bin/sh
# Fetches the jars of a real Apache Kafka broker into the folder $1, once: broker.pom.xml names and pins them.
# 54 MB from Maven's registry; needs mvn, and says so where there is none.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
[ -e "$1/lib" ] && exit 0
command -v mvn >/dev/null || { echo "no mvn: the broker's jars cannot be fetched" >&2; exit 1; }
mkdir -p "$1"
made=$(mktemp -d "$1/fetching.XXXXXX")
trap 'rm -rf "$made"' EXIT
mvn -q -B -f "$here/broker.pom.xml" dependency:copy-dependencies -DoutputDirectory="$made/lib" -DincludeScope=runtime \
    >"$made/log" 2>&1 || { cat "$made/log" >&2; exit 1; }
# Whoever comes second finds it made.
mv -T "$made/lib" "$1/lib" 2>/dev/null || [ -e "$1/lib" ]
