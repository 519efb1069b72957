# skyhaul: every command of the project. `make` prints this list.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
CARGO ?= cargo
DEMO_DIR ?= demo-data

.PHONY: help setup build demo test fmt lint unit doc bench deny clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r name what; do printf '  make %-8s %s\n' "$$name" "$$what"; done

setup: ## install what building needs beside a Rust toolchain (a C compiler, rustfmt, clippy)
	@tests/setup.sh

build: setup ## build skyhaul and skyhaul-replica into target/release
	$(CARGO) build --release --locked --package skyhaul --package skyhaul-replica

demo: build ## pull one hour of THEMIS at Gillam from a local archive, with live progress, then verify it
	@tests/demo.sh target/release "$(DEMO_DIR)"

test: setup fmt lint unit ## everything that must hold before a change lands: format, lints, all tests

fmt: ## fail on code that rustfmt would change
	$(CARGO) fmt --all --check

lint: ## clippy on everything, warnings are errors
	$(CARGO) clippy --workspace --all-targets --locked -- --deny warnings

unit: ## all tests, the end-to-end ones through the real binaries included
	$(CARGO) build --workspace --bins --locked
	$(CARGO) test --workspace --locked

doc: ## the API's documentation, broken links are errors
	RUSTDOCFLAGS="--deny warnings" $(CARGO) doc --workspace --no-deps --locked

bench: ## time the hot pieces
	$(CARGO) bench --package skyhaul-benches --locked

deny: ## licences, advisories and duplicates of the dependencies (needs cargo-deny)
	$(CARGO) deny check

clean: ## remove what was built and what the demo pulled
	$(CARGO) clean
	rm -rf "$(DEMO_DIR)"
