#!/bin/sh
# What `make run` does, phase by phase. Needs Rust, a C compiler, and no root.
set -eu
phase() { printf '\n[%s/4] %s\n' "$1" "$2"; }

phase 1 "looking for what is needed"
missing=
command -v cargo >/dev/null || missing="$missing\n  Rust: https://rustup.rs (needs no root)"
command -v cc >/dev/null || missing="$missing\n  a C compiler; this needs root: apt-get install gcc, or your system's way"
if [ -n "$missing" ]; then
    printf 'please install, then run again:%b\n' "$missing"
    exit 1
fi

if [ -x target/release/banyan ]; then estimate="seconds, if little has changed"; else estimate="5 to 7 minutes on 2 cores"; fi
phase 2 "building the shop ($estimate)"
cargo build --release -p banyan

phase 3 "looking for a PostgreSQL server"
sh app/postgres.sh target/release
target/release/banyan postgres

phase 4 "starting the shop (seconds; at first the sample is played, about a minute)"
exec target/release/banyan run "$@"
