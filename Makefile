# Three forms of build, each with a target directory of its own, since cargo unifies features per form:
# the edit loop (cargo test), everything (make test), and the release binary (make run).
EVERYTHING := --workspace --target-dir target/everything
export CARGO_TERM_COLOR ?= auto
CI_LOAD ?= 4
MODULES := catalog inventory payments shipping orders notifications
# What a shop in parts is made of, and what plays with it.
ALL_PROGRAMS := -p banyan -p banyan-lab $(MODULES:%=-p %-service)

.PHONY: help run test contracts edit check apart deny chaos lab services compose bench replay-full reset clean

help: ## Shows this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile

run: ## Builds the shop, starts it, plays the sample into it, reports, and serves until Ctrl-C
	@sh app/run.sh

test: check ## Everything that must be true, on real processes; no time is asserted
	@sh app/postgres.sh target/everything/debug
	@sh platform/kafka/broker.sh target/tools/kafka-4.1.0 || [ $$? -eq 3 ]
	cargo test $(EVERYTHING) --no-fail-fast -- --test-threads=$(CI_LOAD)
	@EXAMPLES=5 SEED=1 BANYAN_BIN=target/everything/debug/banyan sh lab/schemathesis.sh

# A build of its own, which the rest does not wait for (ADR 38). Pact reports each run to its makers, unless told not to.
PACT := $(EVERYTHING) --features banyan-contracts/pact --test pact
contracts: export PACT_DO_NOT_TRACK := true
contracts: ## Whoever asks or hears says what they expect, and whoever answers or tells is held to it, by Pact
	@sh app/postgres.sh target/everything/debug
	cargo clippy $(PACT) -- -D warnings
	cargo test $(PACT) -- --test-threads=$(CI_LOAD)

edit: ## The edit loop: the default members' tests alone
	cargo test

check: ## Format, lints as errors, documentation without warnings
	cargo fmt --all --check
	cargo clippy $(EVERYTHING) --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc $(EVERYTHING) --no-deps --document-private-items --quiet

apart: ## The shop compiles without any one of the modules, and without all: those are elsewhere then
	@for out in all $(MODULES); do echo "the shop without $$out"; \
	    rest=$$(echo $(MODULES) | tr ' ' '\n' | grep -vx "$$out" | paste -sd,); [ $$out = all ] && rest=; \
	    cargo check --quiet -p banyan --lib --no-default-features --features "$$rest" --target-dir target/everything || exit 1; done

deny: ## Licences, banned crates and sources of all dependencies (needs cargo-deny)
	cargo deny --all-features check --hide-inclusion-graph bans licenses sources

chaos: ## All scenarios, each as it is and with each guarantee removed, and the API held to its document; no time limit
	@sh lab/chaos.sh
	@cargo build --release -p banyan --quiet
	@sh lab/schemathesis.sh

lab: ## The rows that can be lived: make lab, or make lab ROW=C4 [WITHOUT=inbox]
	@test -x target/release/lab || echo "building the lab (a few minutes, the first time)"
	@cargo build --release $(ALL_PROGRAMS) --quiet
	@sh platform/kafka/broker.sh target/tools/kafka-4.1.0 || [ $$? -eq 3 ]
	@[ "$(ROW)" != F4 ] || sh lab/unleash.sh target/tools/unleash-8.2.0
	@target/release/lab $(ROW) $(if $(WITHOUT),--without $(WITHOUT))

services: ## The shop in parts: Kafka, a database per module, six services and their front, until Ctrl-C [COUNT="orders=2 shipping=0"] [ROUTED=inventory]
	@sh app/postgres.sh target/release
	@sh platform/kafka/broker.sh target/tools/kafka-4.1.0
	@cargo build --release $(ALL_PROGRAMS)
	@exec target/release/lab services $(COUNT:%=--count %) $(ROUTED:%=--routed %)

compose: ## The same in containers, from a bare machine, as root: built, sold through, audited, and taken down again
	@sh app/compose.sh

bench: ## The shop beside PostgreSQL alone, in interleaved slices
	@cargo build --release -p banyan -p banyan-lab --quiet
	@target/release/lab bench

replay-full: ## Fetches all published baskets (about 155,000) and plays them into the running shop
	python3 app/sample/make_sample.py --full --out target/full.jsonl
	target/release/banyan replay target/full.jsonl

reset: ## Deletes the shop's data folder
	@target/release/banyan reset

clean: ## Deletes what was built
	cargo clean
