.PHONY: help build test check demo bench-proxy bench-memcached bench-store bench-items bench-forwarding bench-memory bench-collections bench-http bench-ringpop bench-ring bench-growth bench-threads fuzz clean
TARGET ?= command
SECONDS ?= 60
BENCH = cargo run --release -p heeler-bench --

help:        ## what can be made
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*##/\t/' | expand -t 14
build:       ## the program, optimised: target/release/heeler
	cargo build --release -p heeler
test:        ## all tests
	cargo test --workspace
check:       ## format, lints and tests: what has to hold before a commit
	cargo fmt --check && cargo clippy --workspace --all-targets -- -D warnings && cargo test --workspace
demo:        ## three stores and a proxy over them, to play with
	cargo run --release -- demo
bench-proxy: build ## heeler proxy beside nutcracker, over redis-servers and memcacheds
	$(BENCH) proxy
	$(BENCH) memcached
bench-memcached: build ## only over memcacheds
	$(BENCH) memcached
bench-store: build ## heeler serve beside redis-server
	$(BENCH) store
bench-forwarding: build ## keys through a node of a ring that does not own them
	$(BENCH) ring
bench-memory: build ## what a key costs: redis-server, memcached, heeler serve
	$(BENCH) memory
bench-growth: ## the longest command while a store grows to 10,000,000 keys
	cargo bench -p heeler --bench growth
bench-http: build ## heeler serve over HTTP
	$(BENCH) http
bench-collections: build ## what collections cost: redis-server, heeler serve
	$(BENCH) collections
bench-items: build ## heeler serve --memcached beside memcached
	$(BENCH) items
bench-ringpop: build ## heeler serve --peer beside ringpop-node: .ci/peers installs it
	$(BENCH) ringpop
bench-threads: build ## heeler serve with one thread and with two
	$(BENCH) threads
bench-ring:  ## lookups a second
	cargo bench -p heeler-ring
fuzz:        ## one fuzz target for a while: make fuzz TARGET=command SECONDS=60
	fuzz/run $(TARGET) -max_total_time=$(SECONDS)
clean:       ## what was built
	cargo clean && rm -rf fuzz/target
