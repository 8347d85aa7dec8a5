# The front door. Every target first brings the machine into shape (deploy/scripts/bootstrap.sh does
# nothing where nothing is missing), builds RocksDB once per machine, and hands over to a script.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo walk test verify fix bench instructions crash sim drill fuzz doc clean

# Numbers from an unoptimised build compare with nothing.
BENCH_PROFILE ?= release
# The full form replaces the published figures; anything else only prints, unless it says where to.
BENCH_ARGS ?= --out docs/bench
# Cuts of the long crash drill; the short one is among the tests.
CUTS ?= 1000
# Seeds of the long simulation; a hundred are among the tests.
SEEDS ?= 1000
# Minutes of trouble; some scenes of it are among the tests.
MINUTES ?= 30
# Times the mutants of the tests, for each decoder.
ROUNDS ?= 100
export CARGO_INCREMENTAL := 0

scripts := deploy/scripts
enter = source $(scripts)/env.sh; $(scripts)/bootstrap.sh $(1); $(scripts)/build-rocksdb.sh

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1	\2/p' $(firstword $(MAKEFILE_LIST))

demo: ## a small federation on this machine, from token to audit
	@$(call enter,build); $(scripts)/demo.sh

walk: ## quotas, budgets, placement and explanations, typed command by command
	@$(call enter,build); cargo build --locked --workspace --bins; \
	"$$CARGO_TARGET_DIR/debug/sekisho-drill" walk

test: ## all tests; the last line counts them
	@$(call enter,test); $(scripts)/test.sh

verify: ## format, lints, house rules, docs and tests; writes nothing
	@$(call enter,verify); $(scripts)/verify.sh

fix: ## format and apply what clippy can repair
	@$(call enter,verify); cargo clippy --fix --allow-dirty --allow-staged --workspace --all-targets; cargo fmt --all

bench: ## measure beside etcd, ZooKeeper and Slurm; BENCH_ARGS="--short" is a look, BENCH_PROFILE=dev builds fast
	@$(call enter,bench); cargo build --locked --workspace --bins --profile $(BENCH_PROFILE); \
	$$CARGO_TARGET_DIR/$(if $(filter dev,$(BENCH_PROFILE)),debug,$(BENCH_PROFILE))/sekisho-drill bench $(BENCH_ARGS)

instructions: ## count what a placement takes under valgrind, and hold it to its bound
	@$(call enter,instructions); cargo build --locked --workspace --bins --profile $(BENCH_PROFILE); \
	$$CARGO_TARGET_DIR/$(if $(filter dev,$(BENCH_PROFILE)),debug,$(BENCH_PROFILE))/sekisho-drill instructions

crash: ## cut a member's power CUTS times, fill and damage its disk
	@$(call enter,test); cargo build --locked --workspace --bins; \
	"$$CARGO_TARGET_DIR/debug/sekisho-drill" crash all --cuts $(CUTS)

sim: ## simulate SEEDS federations on virtual time, from SEED on
	@$(call enter,test); cargo build --locked --workspace --bins; \
	"$$CARGO_TARGET_DIR/debug/sekisho-drill" sim --seeds $(SEEDS) $(if $(SEED),--seed $(SEED))

drill: ## kill, stop, freeze, fill and cut a federation for MINUTES, by SEED, and watch its devices
	@$(call enter,test); cargo build --locked --workspace --bins; \
	"$$CARGO_TARGET_DIR/debug/sekisho-drill" host --scenes --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

fuzz: ## ROUNDS times the hostile bytes of the tests at every decoder, by SEED
	@$(call enter,test); seed=$(or $(SEED),$$RANDOM); echo "fuzz: ROUNDS=$(ROUNDS) SEED=$$seed"; \
	SEKISHO_FUZZ_ROUNDS=$(ROUNDS) SEKISHO_FUZZ_SEED=$$seed cargo test --locked --workspace --test fuzz

doc: ## API documentation of every crate
	@$(call enter,build); RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps

clean: ## remove build products; the RocksDB archive stays
	@source $(scripts)/env.sh; cargo clean
