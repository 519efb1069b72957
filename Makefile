# skyhaul: every command of the project. `make` prints this list.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
RELEASE := $(TARGET)/release
SKIPPED := $(abspath $(TARGET))/skipped
DEMO_DIR ?= demo-data
FILES ?= 1M
JOBS ?= 10k

.PHONY: help setup build demo test fmt lint unit soak torture doc bench bench-baseline bench-queue bench-planning bench-jobs bench-dashboard bench-limits bench-controller bench-peers bench-faults screenshots fuzz deny clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r name what; do printf '  make %-15s %s\n' "$$name" "$$what"; done

setup: ## get what building and testing need beside a Rust toolchain
	@tests/setup.sh

build: ## build skyhaul and skyhaul-replica into target/release (or below CARGO_TARGET_DIR)
	@tests/setup.sh build
	$(CARGO) build --release --locked --package skyhaul --package skyhaul-replica

demo: build ## pull one hour of THEMIS at Gillam from a local archive, with live progress, then verify it
	@tests/demo.sh "$(RELEASE)" "$(DEMO_DIR)"

test: setup fmt lint unit ## everything that must hold before a change lands: format, lints, all tests

fmt: ## fail on code that rustfmt would change
	$(CARGO) fmt --all --check

lint: ## clippy on everything, warnings are errors
	$(CARGO) clippy --workspace --all-targets --locked -- --deny warnings

unit: ## all tests, the end-to-end ones through the real binaries included
	$(CARGO) build --workspace --bins --locked
	@rm -f "$(SKIPPED)"
	SKYHAUL_SKIPPED="$(SKIPPED)" $(CARGO) test --workspace --locked
	@[ ! -e "$(SKIPPED)" ] || { echo "What was not tested here:"; sort -u "$(SKIPPED)" | sed 's/^/  /'; }

soak: ## some minutes of everything that can go wrong, seed after seed (SKYHAUL_SOAK_MINUTES, SKYHAUL_SOAK_SEED)
	@tests/setup.sh build
	$(CARGO) build --package skyhaul --package skyhaul-replica --locked
	$(CARGO) test --package skyhaul-tests --test soak --locked -- --ignored --nocapture

torture: ## the queue through 200 kills, 400 cuts and 1,000 kinds of damage, some ten minutes (SKYHAUL_TORTURE_SEED)
	@tests/setup.sh build
	$(CARGO) build --package skyhaul --package skyhaul-replica --locked
	SKYHAUL_TORTURE=1 $(CARGO) test --package skyhaul-tests --test torture --locked

doc: ## the API's documentation, broken links are errors
	RUSTDOCFLAGS="--deny warnings" $(CARGO) doc --workspace --no-deps --locked

bench: ## time the hot pieces, and count their instructions beside a baseline (with valgrind; fails where they are more)
	$(CARGO) bench --package skyhaul-benches --bench hot --locked
	@CARGO="$(CARGO)" benches/instructions.sh

bench-baseline: ## make the instructions of the hot pieces the new baseline (benches/instructions.txt)
	@CARGO="$(CARGO)" benches/instructions.sh --write

bench-queue: ## the queue at a size: files in and done a second, bytes, memory, opening, rebuilding (FILES=10M, about six minutes)
	$(CARGO) run --release --locked --package skyhaul-benches --bin bench-queue -- $(FILES)

bench-jobs: ## what many small jobs cost: threads, open files, disk, opening, rebuilding (JOBS=10k, about five minutes)
	$(CARGO) run --release --locked --package skyhaul-benches --bin bench-jobs -- $(JOBS)

bench-planning: build ## what the queue takes in through the real binaries: years planned from an archive, a list of a million URLs (YEARS)
	@benches/planning.sh "$(RELEASE)" $(YEARS)

bench-dashboard: ## what an open page costs the engine at ten thousand jobs, in processor time (two minutes)
	$(CARGO) build --release --package skyhaul --package skyhaul-replica --bins --locked
	$(CARGO) test --release --package skyhaul-tests --test dashboard --locked cost -- --ignored --nocapture

bench-limits: ## what becomes of limits, as the server sees it: bytes and requests a second, a timetable, shares (four minutes)
	$(CARGO) build --release --package skyhaul --package skyhaul-replica --bins --locked
	$(CARGO) test --release --package skyhaul-tests --test limits --locked -- --ignored --nocapture --test-threads=1

bench-controller: ## draw what the controller makes of simulated links and servers (docs/controller.svg)
	$(CARGO) test --package skyhaul-http --lib --locked controller::curves::draw -- --ignored --exact

bench-peers: build ## skyhaul beside curl, wget2, aria2 and others over emulated links, with ratios (BENCH_DIR, ROWS, REPEATS)
	@benches/peers.sh "$(RELEASE)/skyhaul"

bench-faults: build ## what becomes of files when the server misbehaves in the harness's ten ways (BENCH_DIR)
	@benches/faults.sh "$(RELEASE)/skyhaul"

screenshots: setup ## take the pictures of the dashboard in docs anew
	$(CARGO) build --package skyhaul --package skyhaul-replica --bins --locked
	$(CARGO) test --package skyhaul-tests --test dashboard --locked screenshots -- --ignored --test-threads=1

fuzz: ## look for inputs that break what is promised of them, FUZZ_SECONDS (30) for each target (needs a C++ compiler)
	@fuzz/run.sh

deny: ## licences, advisories and duplicates of the dependencies (needs cargo-deny)
	$(CARGO) deny check

clean: ## remove what was built and what the demo pulled
	$(CARGO) clean
	rm -rf "$(DEMO_DIR)"
