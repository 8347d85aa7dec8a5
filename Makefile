# The front door. Every target first brings the machine into shape (deploy/scripts/bootstrap.sh does
# nothing where nothing is missing), builds RocksDB once per machine, and hands over to a script.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test verify fix bench doc clean

# Numbers from an unoptimised build compare with nothing.
BENCH_PROFILE ?= release
export CARGO_INCREMENTAL := 0

scripts := deploy/scripts
enter = source $(scripts)/env.sh; $(scripts)/bootstrap.sh $(1); $(scripts)/build-rocksdb.sh

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1	\2/p' $(firstword $(MAKEFILE_LIST))

demo: ## a small federation on this machine, from token to audit
	@$(call enter,build); $(scripts)/demo.sh

test: ## all tests; the last line counts them
	@$(call enter,test); $(scripts)/test.sh

verify: ## format, lints, house rules, docs and tests; writes nothing
	@$(call enter,verify); $(scripts)/verify.sh

fix: ## format and apply what clippy can repair
	@$(call enter,verify); cargo clippy --fix --allow-dirty --allow-staged --workspace --all-targets; cargo fmt --all

bench: ## measure against the budgets of the design
	@$(call enter,build); cargo build --locked --workspace --bins --profile $(BENCH_PROFILE); \
	cargo run --locked --profile $(BENCH_PROFILE) --package sekisho-chaos --bin sekisho-drill -- bench

doc: ## API documentation of every crate
	@$(call enter,build); RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps

clean: ## remove build products; the RocksDB archive stays
	@source $(scripts)/env.sh; cargo clean
