# `make help` lists the targets. Each does its own set-up.
.DEFAULT_GOAL := help
.PHONY: help up down logs docs test test-full test-containers test-deploy drill bench bench-against bench-quick fuzz check lock

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' $(MAKEFILE_LIST) | expand -t 24

up: ## run the service: by Compose where Docker answers, else on this machine; prints its URL
	@scripts/local up

down: ## stop it, ending every stream properly
	@scripts/local down

logs: ## follow its logs
	@scripts/local logs

docs: .venv-docs/docs ## build the manual into site/, and fail on a broken link
	@.venv-docs/bin/zensical build --strict --clean

test: .venv/dev ## run the tests that need no containers: unit to browser
	@tests/run unit contract integration fuzz clients docs browser

test-full: .venv/dev ## the integration tests at the full size of their greatest loads
	@FULL_SIZE=1 tests/run integration

test-containers: .venv/dev ## run the tests on containers, on a real Docker
	@tests/run container

test-deploy: .venv/dev ## run the tests of deploy/ on a VM of their own, on a real Docker
	@tests/run deploy

drill: .venv/dev ## faults under 1,000 clients, on a real Docker: what is lost, doubled, out of order
	@.venv/bin/python tests/drill

bench: .venv/dev ## what a delivery costs, beside nchan, better-sse, sse-starlette and a floor in C
	@.venv/bin/python tests/bench

bench-against: .venv/dev ## whether the files here cost more than a commit: make bench-against COMMIT=HEAD
	@.venv/bin/python tests/bench --against "$(COMMIT)"

bench-quick: .venv/dev ## the bench in three minutes: a first impression
	@.venv/bin/python tests/bench --quick

fuzz: .venv/dev ## 20,000 examples of odd events and odd requests
	@FUZZ_EXAMPLES=20000 tests/run fuzz

check: .venv/dev ## lint, types, shell, Dockerfile, nginx, Compose
	@tests/check

lock: .venv/dev ## write the requirements' locks anew from pyproject.toml
	@scripts/lock

.venv/dev: requirements-dev.lock
	@scripts/venv requirements-dev.lock dev

.venv-docs/docs: requirements-docs.lock
	@scripts/venv requirements-docs.lock docs .venv-docs
