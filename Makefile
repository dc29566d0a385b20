# `make run` starts the gateway with a demo upstream; `make test` checks everything. Both set up what they need.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
PORT ?= 9000
DEMO_PORT ?= 9100
PYTEST_ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check
# Checks look at the project, never at a developer's own .env.
PLAIN := env -u GATEWAY_ORIGIN -u DATABASE_URL -u CACHE_URL ENV_FILE=/dev/null DEBUG=true

FUZZ_SECONDS ?= 600

.PHONY: run test lint format types migrations tests fuzz nightly node setup bench bench-report requirements clean

run: $(VENV)/.run .env
	@$(BIN)/python manage.py rundemo --port $(PORT) --demo-port $(DEMO_PORT)

# Everything. Parts of it: make lint; make tests PYTEST_ARGS=tests/unit; TEST_DATABASE=sqlite make tests
test: lint migrations tests bench-report

lint: $(VENV)/.dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports --no-logo
	@$(PLAIN) $(BIN)/mypy

format: $(VENV)/.dev
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

migrations: $(VENV)/.dev
	@$(PLAIN) $(BIN)/python manage.py makemigrations --check --dry-run

tests: $(VENV)/.dev node
	@$(BIN)/python -m tests.support.services $(PYTEST_ARGS)

# Odd requests to every endpoint, ten minutes on each database, side by side; other ones each time, again the same with FUZZ_SEED=… make fuzz
fuzz: $(VENV)/.dev node
	@FUZZ_SECONDS=$(FUZZ_SECONDS) $(BIN)/python -m tests.support.services tests/fuzz -k meanwhile -s

# What takes longer than anybody wants to wait for.
nightly: fuzz

setup: $(VENV)/.dev node

# How fast the data plane is, in ratios of one run, into bench/results. On a quiet machine, and for longer: make bench SECONDS=600
bench: SECONDS = 180
bench: $(VENV)/.dev
	@$(MAKE) -s .venv-bench/.done || echo "FastMCP is not to be had: its row is left out."
	@$(BIN)/python -m bench.speed $(SECONDS) --whole --rounds 5

# The same for some seconds, of what is here. Tells figures and fails only when an answer is wrong.
bench-report: $(VENV)/.dev
	@$(BIN)/python -m bench.speed 6 --report --rounds 2

# What the gateway is compared with, apart from the environment of the project: it brings more than the rest together.
.venv-bench/.done: requirements-bench.txt | $(BIN)/python
	@echo "Installing what the gateway is compared with …"
	@$(BIN)/python -m venv .venv-bench
	@.venv-bench/bin/python -m pip install -qq --disable-pip-version-check -r requirements-bench.txt
	@touch $@

# The environment, and one stamp for each set of packages, so that a second run is instant.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Making the environment $(VENV) …"
	@$(PYTHON) -m venv $(VENV) || { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq python3-venv && $(PYTHON) -m venv $(VENV); } \
		|| { echo "Python's venv is missing. Install it with: sudo apt-get install python3-venv"; exit 1; }

$(VENV)/.run: requirements.txt requirements-demo.txt | $(BIN)/python
	@echo "Installing what the gateway runs on …"
	@$(PIP) -r requirements.txt -r requirements-demo.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.run
	@echo "Installing what the tests need …"
	@$(PIP) -r requirements.txt -r requirements-demo.txt -r requirements-dev.txt
	@touch $@

node: tests/node/node_modules/.package-lock.json tests/node22/node_modules/.package-lock.json

tests/node/node_modules/.package-lock.json: tests/node/package-lock.json | $(BIN)/python
	@$(BIN)/python -m tests.support.machine
	@echo "Installing the WorkOS emulator and the clients from npm …"
	@cd tests/node && npm ci --omit=optional --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

# With optional packages: Node.js 22 itself is one, for the machine's own architecture.
tests/node22/node_modules/.package-lock.json: tests/node22/package-lock.json | tests/node/node_modules/.package-lock.json
	@echo "Installing the conformance suite, the MCP Inspector and the Node.js they need …"
	@cd tests/node22 && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

.env:
	@cp .env.example .env

# After a change to one of the requirements*.in; add ARGS=--upgrade for the newest of everything.
requirements: $(VENV)/.dev
	@for set in requirements requirements-demo requirements-dev requirements-bench; do \
		CUSTOM_COMPILE_COMMAND="make requirements" $(BIN)/pip-compile --quiet --strip-extras --allow-unsafe --no-emit-index-url \
			--no-emit-find-links --no-emit-trusted-host --no-emit-options $(ARGS) --output-file $$set.txt $$set.in || exit 1; \
	done

clean:
	rm -rf $(VENV) .venv-bench tests/node/node_modules tests/node22/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
