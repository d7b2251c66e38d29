#!/bin/sh
# Fetches the jars of a real Apache Kafka broker into the folder $1, once: broker.pom.xml names and pins them.
# 54 MB from Maven's registry. Where Java or Maven is missing it says so and ends with 3: what needs a broker is skipped.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
skipped() {
    echo "Kafka's broker is skipped, and all that needs it: there is no $1 (root: apt-get install $2, or your system's way)" >&2
    exit 3
}
java=$(java -version 2>&1 | sed -n 's/^[^"]*version "\([0-9]*\).*/\1/p' || true)
[ "${java:-0}" -ge 17 ] || skipped "Java 17" default-jre-headless
[ -e "$1/lib" ] && exit 0
command -v mvn >/dev/null || skipped mvn maven
mkdir -p "$1"
# Maven takes a relative folder to be beside its own file.
folder=$(cd "$1" && pwd)
made=$(mktemp -d "$folder/fetching.XXXXXX")
trap 'rm -rf "$made"' EXIT
mvn -q -B -f "$here/broker.pom.xml" dependency:copy-dependencies -DoutputDirectory="$made/lib" -DincludeScope=runtime \
    >"$made/log" 2>&1 || { cat "$made/log" >&2; exit 1; }
# Whoever comes second finds it made.
mv -T "$made/lib" "$folder/lib" 2>/dev/null || [ -e "$folder/lib" ]
