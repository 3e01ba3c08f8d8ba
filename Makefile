# The only entry point: people and CI use these words. The work is done by the scripts in hack/.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

# Everything that is built lives here, outside the checkout; so a fresh clone starts warm.
export DEVSERVER_CACHE ?= $(HOME)/.cache/devserver
export CARGO_TARGET_DIR ?= $(DEVSERVER_CACHE)/target
# lab: a Kubernetes on this machine. existing: the cluster of KUBECONFIG.
export CLUSTER ?= lab
export REGISTRY TAG VALUES RINGS BENCHES

.PHONY: up down env test nightly lint bench images generate clean help

up: ## Start Kubernetes, install the platform, create an example machine (CLUSTER=existing: in your cluster)
	@hack/up.sh

down: ## End what `up` started and check that nothing is left
	@hack/down.sh

env: ## Print PATH and KUBECONFIG of the lab for a shell to evaluate: eval "$$(make -s env)"
	@hack/env.sh

test: ## Run the tests, ring by ring (RINGS="1 2" selects)
	@hack/test.sh

nightly: ## Run all tests, also those too long for every change
	@RINGS="1 2 3 4" hack/test.sh

lint: ## Check sources: format, clippy, shell, chart, generated files, dependencies
	@hack/lint.sh

bench: ## Measure, and write the figures to bench/results
	@hack/bench.sh

images: ## Build the images (REGISTRY=registry.example.com/team: build and push them)
	@hack/images.sh

generate: ## Write the files that are made from others: CRDs, golden file of the chart
	@hack/generate.sh

clean: ## Remove what was built in the checkout; the cache outside stays (see docs/lab.md)
	@rm -rf bin tests/artifacts
	@echo "The cache is $(DEVSERVER_CACHE); remove it with: rm -rf $(DEVSERVER_CACHE)"

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { gsub(/[$$]+/, "$$", $$2); printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
