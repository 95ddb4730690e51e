.DEFAULT_GOAL := help
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do command -v $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
DATA ?= data
PORT := 8080
WORKERS ?= 2
LOCK := requirements/dev.lock
READY := $(VENV)/.ready

help: ## list what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

install: $(READY) ## make the environment in .venv

$(READY): $(LOCK) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "make: no Python of 3.11 or newer on PATH; name one with PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: install ## start everything on this machine and show what happens; DATA=folder, PORT=number
	@exec $(BIN)/payouts up --data "$(DATA)" --port "$(PORT)" --demo

check: install ## format, lint, types, migrations: what CI checks before the tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/payouts db lint

format: install ## rewrite the code in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: install ## all tests but those that take many minutes; WORKERS=n processes
	$(BIN)/pytest -m "not long and not compose" -n $(WORKERS) --dist worksteal

test-long: install ## the tests that take many minutes, those of the compose file among them
	$(BIN)/pytest -m "long and not compose"
	$(MAKE) test-mysql
	$(MAKE) test-compose

test-mysql: install ## on MySQL itself, fetched if need be: what differs between servers, and what breaks one
	servers=$$(deploy/ci/mysql) && export PATH="$$servers:$$PATH" TESTS_BREAK=mysql && \
	$(BIN)/pytest -m "not compose" -k mysql -n $(WORKERS) --dist worksteal && \
	$(BIN)/pytest -m "not long" tests/e2e/test_runbook.py tests/e2e/test_outages.py tests/e2e/test_crashes.py \
		tests/e2e/test_frozen.py tests/e2e/test_disaster.py

test-compose: install ## the compose file in a Docker engine, which is started if none answers; PART=… of it
	deploy/ci/engine $(BIN)/pytest -m "compose $(PART)" tests/e2e/test_compose.py tests/e2e/test_compose_runbook.py

test-tools: ## what some tests need from npm, in tests/node_modules; without it they are left out
	npm install --prefix tests --no-package-lock --ignore-scripts --no-audit --no-fund

bench: install ## measure, each figure beside its ceiling; takes half an hour or so
	@$(BIN)/python -m bench

lock: install ## choose the newest versions again and write them down with their hashes
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--no-emit-index-url --no-annotate --upgrade --extra dev -o requirements/dev.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--no-emit-index-url --no-annotate -c requirements/dev.lock -o requirements/runtime.lock pyproject.toml

clean: ## remove what was made; the data folder stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info

.PHONY: help install run check format test test-long test-mysql test-compose test-tools bench lock clean
