# Trunkline: every command a person needs. `make` alone lists them.
#
#   make run ARGS="--config my.toml"     arguments for `trunkline run`
#   make install PREFIX=/usr DESTDIR=... where to install (see packaging/)
#   make build OPUS=pure                without libopus (run, build, test and bench take it, too)
#   make fuzz FUZZ_SECONDS=600           seconds per fuzz target

SHELL        := /bin/bash
.SHELLFLAGS  := -euo pipefail -c
.DEFAULT_GOAL := help

# Cargo as rustup installs it, also when the shell does not know it yet.
export PATH  := $(PATH):$(HOME)/.cargo/bin

TARGET_DIR   := $(or $(CARGO_TARGET_DIR),target)
BINARY       := $(TARGET_DIR)/release/trunkline
ARGS         ?=
FUZZ_SECONDS ?= 60

# Who codes Opus: audiopus (libopus) or pure (no C library).
OPUS         ?= audiopus
export OPUS
FEATURES     := $(if $(filter-out audiopus,$(OPUS)),--no-default-features --features opus-$(OPUS))

PREFIX       ?= /usr/local
SYSCONFDIR   ?= /etc
UNITDIR      ?= $(SYSCONFDIR)/systemd/system
DESTDIR      ?=

.PHONY: help run build test lint bench dtmf fuzz deny advisories install uninstall

help: ## this list
	@awk -F':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## install what is missing, build, start Trunkline (ARGS=... are given to it)
	@scripts/setup run
	cargo build --release --bin trunkline $(FEATURES)
	@exec $(BINARY) run $(ARGS)

build: ## build the release binary
	@scripts/setup run
	cargo build --release --bin trunkline $(FEATURES)

test: ## install what the tests need and run all of them
	@scripts/setup test
	cargo test --workspace $(FEATURES)

lint: ## formatting, clippy, docs and the house rules
	@scripts/setup lint
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo check --quiet -p trunkline --lib --no-default-features --features opus-pure
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet
	scripts/check-arrows --self-test
	scripts/check-arrows
	scripts/check-unsafe --self-test
	scripts/check-unsafe
	scripts/check-no-std --self-test
	scripts/check-no-std
	scripts/make-prompts --check

bench: ## micro benches, then channels per core on this machine
	@scripts/setup run
	cargo bench --workspace $(FEATURES)
	cargo build --release --bin trunkline $(FEATURES)
	$(BINARY) bench

dtmf: ## the DTMF receiver against every requirement, a line each (docs/dtmf.md)
	@scripts/setup test
	TRUNKLINE_DTMF=full cargo test --quiet --release -p trunkline-dsp --lib conformance -- --nocapture

fuzz: ## each fuzz target for FUZZ_SECONDS (default 60)
	@scripts/setup fuzz
	scripts/fuzz $(FUZZ_SECONDS)

deny: ## licences, bans and sources of all dependencies
	@scripts/setup deny
	cargo deny --workspace check licenses bans sources

advisories: ## known vulnerabilities of dependencies (fetches the advisory database)
	@scripts/setup deny
	cargo deny --workspace check advisories

install: ## binary, default configuration and systemd unit (PREFIX, DESTDIR)
	@PREFIX="$(PREFIX)" SYSCONFDIR="$(SYSCONFDIR)" UNITDIR="$(UNITDIR)" DESTDIR="$(DESTDIR)" BINARY="$(BINARY)" scripts/install

uninstall: ## take it away again (the configuration stays, unless PURGE=1)
	@PREFIX="$(PREFIX)" SYSCONFDIR="$(SYSCONFDIR)" UNITDIR="$(UNITDIR)" DESTDIR="$(DESTDIR)" PURGE="$(PURGE)" scripts/uninstall
