# `make help` lists the targets. Each one installs what it needs.
.DEFAULT_GOAL := help
.PHONY: help up down logs docs test test-full test-containers test-deploy test-kubernetes test-observability dashboard drill drill-presence drill-failover bench bench-against bench-quick doctor captures fuzz check lock

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' $(MAKEFILE_LIST) | expand -t 24

up: ## run the service and print its URL: by Compose if Docker answers, else without it
	@scripts/local up

down: ## stop the service, and end each stream properly
	@scripts/local down

logs: ## follow the service's logs
	@scripts/local logs

docs: .venv-docs/docs ## build the manual into site/, and fail on a broken link
	@.venv-docs/bin/zensical build --strict --clean

test: .venv/dev ## run the tests that need no containers, from unit to browser
	@tests/run unit chart contract integration fuzz client clients docs browser

test-full: .venv/dev ## run the integration tests with their greatest loads at full size
	@FULL_SIZE=1 tests/run integration

test-containers: .venv/dev ## run the tests of the containers, on a real Docker
	@tests/run container

test-deploy: .venv/dev ## run the tests of deploy/ on a VM of their own, on a real Docker
	@tests/run deploy

test-kubernetes: .venv/dev ## run the tests of the chart on a cluster: KUBECONFIG names it, and BARESTREAM_IMAGE an image
	@tests/run kubernetes

test-observability: .venv/dev ## make faults on a real hub, until a real Prometheus says that each alert fires and is over
	@tests/run observability

dashboard: .venv/dev ## print what each panel of Grafana's board shows of a hub in use
	@tests/run dashboard

drill: .venv/dev ## run faults under 1,000 clients, on a real Docker: count events lost, doubled, out of order
	@.venv/bin/python tests/drill

drill-presence: .venv/dev ## run faults under 1,000 users of a room, and revoke users in a rollout, on a real Docker
	@.venv/bin/python tests/drill --of presence

drill-failover: .venv/dev ## run failovers of Valkey under 1,000 clients, on a real Docker: count what is lost
	@.venv/bin/python tests/drill --of failover --runs 3

bench: .venv/dev ## measure the cost of a delivery and of a publish, beside the peers and a floor in C
	@.venv/bin/python tests/bench

bench-against: .venv/dev ## compare the cost of these files with a commit: make bench-against COMMIT=HEAD
	@.venv/bin/python tests/bench --against "$(COMMIT)"

bench-quick: .venv/dev ## run the bench in four minutes, with rough figures
	@.venv/bin/python tests/bench --quick

captures: .venv/dev ## draw what top and doctor show on a terminal, into docs/
	@.venv/bin/python tests/captures

doctor: .venv/dev ## try the doctor three times on each path, beside a load on one core, for eleven minutes
	@tests/run doctor

fuzz: .venv/dev ## run the fuzz tests with 20,000 odd events and requests
	@FUZZ_EXAMPLES=20000 tests/run fuzz

check: .venv/dev ## check style, types, shell, Dockerfile, nginx, Compose
	@tests/check

lock: .venv/dev ## write the locks of the requirements from pyproject.toml
	@scripts/lock

.venv/dev: requirements-dev.lock
	@scripts/venv requirements-dev.lock dev

.venv-docs/docs: requirements-docs.lock
	@scripts/venv requirements-docs.lock docs .venv-docs
