#!/bin/sh
# All cells of the lab: each row as it is, and with each of its guarantees removed. With
# BANYAN_CHAOS_UNTIL (seconds since 1970) it stops taking cells then; with BANYAN_CHAOS_ROTATE it begins
# elsewhere in the list. Prints each cell's name; a failure prints the line that runs it again.
set -eu
profile=--release
folder=release
if [ -x target/everything/debug/lab ]; then
    profile=; folder=everything/debug
    cargo build --workspace --target-dir target/everything --quiet
else
    cargo build $profile -p banyan -p banyan-lab -p catalog-service -p inventory-service -p payments-service -p shipping-service \
        -p orders-service -p notifications-service --quiet
    sh platform/kafka/broker.sh target/tools/kafka-4.1.0 || [ $? -eq 3 ]
fi
lab=target/$folder/lab
BANYAN_BIN=$(pwd)/target/$folder/banyan
export BANYAN_BIN
of="-p payments-core"
[ -n "$profile" ] || of="--workspace --target-dir target/everything"
cells=$("$lab" --cells)
count=$(printf '%s\n' "$cells" | wc -l)
first=$((${BANYAN_CHAOS_ROTATE:-0} % count))
passed=0; failed=0; left=0
for at in $(seq 0 $((count - 1))); do
    cell=$(printf '%s\n' "$cells" | sed -n "$(((first + at) % count + 1))p")
    if [ -n "${BANYAN_CHAOS_UNTIL:-}" ] && [ "$(date +%s)" -ge "$BANYAN_CHAOS_UNTIL" ]; then
        left=$((left + 1))
        continue
    fi
    # Its server is fetched when its turn comes, and skipped where it cannot be had.
    if [ "$cell" = F4 ] && ! sh lab/unleash.sh target/tools/unleash-8.2.0; then continue; fi
    echo "cell: lab $cell"
    # A cell is a row and its options: words without blanks.
    # shellcheck disable=SC2086
    if timeout 300 "$lab" $cell; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        echo "FAILED; run it again: $lab $cell"
    fi
done
if [ -z "${BANYAN_CHAOS_UNTIL:-}" ] || [ "$(date +%s)" -lt "$BANYAN_CHAOS_UNTIL" ]; then
    echo "cell: sh lab/stripe.sh"
    if sh lab/stripe.sh "$of"; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        echo "FAILED; run it again: sh lab/stripe.sh '$of'"
    fi
fi
echo "chaos: $left cells left for another commit"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
