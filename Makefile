# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.PHONY: help env demo clean test check lint sanity units integration nics molecule test-kubernetes test-conformance test-masters test-kernel bench soak archive

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' Makefile

demo: env ## bring up the lab, converge it from inventory/, verify, and leave it running
	@molecule/lab/demo

clean: ## remove the lab
	@molecule/lab/lab down
	@molecule/kernel/vms down

test: ## run all tests; the last line is `N passed, N failed`
	@tests/tools/run-tests

check: ## what needs no hosts and little time: format, lint, types, unit tests, rows in database servers
	@tests/tools/run-tests check

lint: ## ruff, types, vermin, yamllint, shellcheck, ansible-lint, changelog, licences, documentation, build of the collection, Galaxy's importer
	@tests/tools/run-tests lint

sanity: ## ansible-test sanity, with three releases of ansible-core
	@tests/tools/run-tests sanity

units: ## the pure layers, without any server
	@tests/tools/run-tests units

integration: ## against real database servers
	@tests/tools/run-tests integration

nics: ## NICs that move into bridges and back, over ssh, on hosts of the lab
	@tests/tools/run-tests nics managers

molecule: ## the scenarios on the lab's hosts
	@tests/tools/run-tests molecule

test-kubernetes: ## a real Kubernetes on the lab's hosts
	@tests/tools/run-tests kubernetes

test-masters: env ## drills of three masters: killed, cut off, hanging, wiped, changed under load, on the lab that is there (half an hour)
	@bash -c ". tests/tools/activate && exec python -m pytest --timeout=900 tests/masters"

test-conformance: env ## upstream's end-to-end tests of the network, on the Kubernetes that is there (half an hour)
	@bash -c ". tests/tools/activate && exec molecule/kubernetes/conformance"

test-kernel: ## the scenario with the kernel's datapath
	@tests/tools/run-tests kernel

bench: env ## measure; prints figures, judges nothing
	@tests/bench/run

soak: env ## pods, services and nodes come and go for an hour (SOAK_SECONDS), then all must be as before
	@tests/soak/run

archive: env ## make ovn_kubernetes.pyz, the programs for hosts that Ansible does not reach
	@tests/tools/build-archive ovn_kubernetes.pyz

env: ## install what the tools need below .cache/
	@tests/tools/env
