#!/bin/sh
# What `make compose` does, on a machine with nothing but apt, as root: installs podman, makes those base images that are not there
# (stand-ins, under their names), builds, brings compose.yaml up, sells through it, audits, and takes all of it down again.
# Images stay, for the next time. JOBS=1: one compiler at a time; SHOP_PORT: where the front listens meanwhile.
set -eu
cd "$(dirname "$0")/.."
PROJECT=banyan-check
ORDERS=50
LONGEST_S=300
IMAGE=localhost/banyan:0.1.0
SERVICES="postgres kafka sandbox catalog inventory payments shipping orders notifications front"

say() { printf '\n[%4d s] %s\n' "$(($(date +%s) - started))" "$1"; }
fail() { echo "compose: $1" >&2; exit 1; }
name() { echo "${PROJECT}_$1_1"; }
banyan() { podman exec "$(name front)" banyan "$@"; }
compose() { podman-compose -p "$PROJECT" "$@" 2>&1; }

install_missing() {
    missing=
    for pair in podman:podman runc:runc podman-compose:podman-compose iptables:iptables debootstrap:debootstrap mvn:maven java:default-jre-headless; do
        command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
    done
    for plugin in bridge:containernetworking-plugins dnsname:golang-github-containernetworking-plugin-dnsname; do
        [ -x "/usr/lib/cni/${plugin%%:*}" ] || missing="$missing ${plugin#*:}"
    done
    [ -n "$missing" ] || return 0
    say "installing$missing"
    apt-get update -q >/dev/null
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >/dev/null
}

# A machine without systemd has neither its cgroups nor its limits.
configure() {
    cat >"$made/containers.conf" <<'CONF'
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=10000:10000"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
CONF
    export CONTAINERS_CONF="$made/containers.conf"
}

# Who was pulled before is left alone.
stand_in() {
    podman image exists "$1" && return 0
    say "a stand-in for $1"
    "$2" "$1" >"$made/log" 2>&1 || { tail -n 30 "$made/log" >&2; fail "no stand-in for $1"; }
}

debian() {
    debootstrap --variant=minbase bookworm "$made/debian"
    tar -C "$made/debian" --exclude=./var/cache/apt --exclude=./var/lib/apt/lists -c . \
        | podman import --change 'LABEL banyan.stand-in=true' - "$1"
    rm -rf "$made/debian"
}

rust() {
    podman build -t "$1" -f app/containers/stand-ins/rust.Dockerfile "$(rustc --print sysroot)"
}

postgres() {
    case $(uname -m) in x86_64) cpu=amd64 ;; aarch64) cpu=arm64v8 ;; *) echo "no server for this processor"; return 1 ;; esac
    mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy -DoutputDirectory="$made/postgres" \
        -Dartifact="io.zonky.test.postgres:embedded-postgres-binaries-linux-$cpu:17.6.0"
    podman build -t "$1" -f app/containers/stand-ins/postgres.Dockerfile --build-context scripts=app/containers/stand-ins "$made/postgres"
}

kafka() {
    sh platform/kafka/broker.sh target/tools/kafka-4.1.0
    podman build -t "$1" -f app/containers/stand-ins/kafka.Dockerfile --build-context scripts=app/containers/stand-ins target/tools/kafka-4.1.0
}

build() {
    say "building $IMAGE (at first ten minutes on 2 cores, or more)"
    # The machine may trust more than the image: a proxy's certificate.
    podman build -t "$IMAGE" -f app/Dockerfile --build-arg JOBS="${JOBS:-default}" \
        --volume /etc/ssl/certs/ca-certificates.crt:/etc/ssl/certs/ca-certificates.crt:ro . >"$made/log" 2>&1 \
        || { tail -n 30 "$made/log" >&2; fail "the image cannot be built"; }
}

up() {
    say "starting $(echo "$SERVICES" | wc -w) containers"
    sh app/containers/secrets.sh "$made/secrets"
    export SHOP_SECRETS="$made/secrets" SHOP_PORT="${SHOP_PORT:-18080}"
    compose up -d >"$made/log" || { tail -n 30 "$made/log" >&2; fail "podman-compose up"; }
}

# Without systemd nobody runs the health checks but who asks.
await_healthy() {
    # All others are told where its keys are, and start again and again until they find them.
    [ "$(podman wait "$(name keys)")" = 0 ] || fail "no keys were made"
    for service in $SERVICES; do
        until podman healthcheck run "$(name "$service")" >/dev/null 2>&1; do
            [ $(($(date +%s) - started_up)) -lt $LONGEST_S ] || fail "$service is not healthy after $LONGEST_S s"
            sleep 1
        done
        echo "  $service is healthy"
    done
    bash app/containers/probe.sh "$SHOP_PORT" /health/ready || fail "the front does not answer at 127.0.0.1:$SHOP_PORT"
}

nobody_is_root() {
    for service in $SERVICES; do
        [ "$(podman exec "$(name "$service")" id -u)" != 0 ] || fail "$service runs as root"
    done
}

sell() {
    say "playing $ORDERS orders"
    banyan replay /sample.jsonl --limit "$ORDERS" --allow-empty-cells || fail "not all orders came to their end"
}

# An order whose end somebody has not heard yet is not judged strictly: this takes a second.
audit() {
    say "the audit, when all have heard of each order's end"
    until banyan audit >"$made/log" && grep -q "^audit: $ORDERS orders settled, 0 open, 0 stuck" "$made/log"; do
        grep -q '^clean$' "$made/log" || { cat "$made/log" >&2; fail "the audit is not clean"; }
        [ $(($(date +%s) - started_up)) -lt $LONGEST_S ] || { cat "$made/log" >&2; fail "not all have heard of each order's end"; }
        sleep 1
    done
    cat "$made/log"
}

# The front asks each of the others about itself.
status() {
    say "what each process says of itself"
    banyan status --once | tee "$made/log"
    ! grep -q 'does not answer' "$made/log" || fail "the front cannot ask all of them"
}

# Who is told to stop finishes what is under way, and ends with 0.
stops_well() {
    say "stopping"
    for service in front $(echo "$SERVICES" | tr ' ' '\n' | grep -v front | tac); do
        podman stop -t 20 "$(name "$service")" >"$made/log" 2>&1 || { cat "$made/log" >&2; fail "$service cannot be stopped"; }
        code=$(podman inspect --format '{{.State.ExitCode}}' "$(name "$service")")
        # Java ends with the signal's number when it is told to by one.
        [ "$code" = 0 ] || [ "$service $code" = "kafka 143" ] || fail "$service ended with $code"
    done
}

ours() { podman ps -aq --filter "label=io.podman.compose.project=$PROJECT"; }

# With the volumes that an image asks for by itself. Who is started again and again is caught between two starts, or the next time.
down() {
    for try in 1 2 3 4 5 6 7 8 9 10; do
        [ -n "$(ours)" ] || break
        ours | xargs podman rm -f -v -t 20 >/dev/null 2>&1 || sleep "$try"
    done
    compose down -v -t 20 >/dev/null || true
    podman network rm -f "${PROJECT}_shop" >/dev/null 2>&1 || true
}

# All that has the project's label, and who resolved its names.
left() {
    for what in "container ls --all" "volume ls" "network ls"; do
        # shellcheck disable=SC2086
        podman $what --noheading --filter "label=io.podman.compose.project=$PROJECT"
    done
    pgrep -af "dnsname/${PROJECT}_shop" || true
}

logs() {
    for service in keys $SERVICES; do
        echo "--- $service" && podman logs --tail 15 "$(name "$service")" 2>&1 || true
    done
}

stand_ins() {
    podman images --filter label=banyan.stand-in=true --format '{{.Repository}}:{{.Tag}}' | grep -v none | sort | paste -sd' '
}

finish() {
    code=$?
    trap - EXIT INT TERM
    if [ -n "${started_up:-}" ]; then
        [ $code -eq 0 ] || logs >&2
        say "taking it down"
        down
        rest=$(left)
        [ -z "$rest" ] || { echo "left behind: $rest" >&2; code=1; }
    fi
    [ $code -ne 0 ] || say "all of it held; images that are stand-ins, or were made on one: $(stand_ins)"
    rm -rf "$made"
    exit $code
}

started=$(date +%s)
[ "$(id -u)" = 0 ] || fail "this needs root, for networks and limits"
command -v cargo >/dev/null || fail "please install Rust: https://rustup.rs"
made=$(mktemp -d /tmp/banyan-compose.XXXXXX)
trap finish EXIT
trap 'exit 130' INT TERM
install_missing
configure
stand_in docker.io/library/debian:12-slim debian
stand_in docker.io/library/rust:1.95-bookworm rust
stand_in docker.io/library/postgres:17 postgres
stand_in docker.io/apache/kafka:4.1.0 kafka
build
down
started_up=$(date +%s)
up
await_healthy
nobody_is_root
sell
audit
status
stops_well
