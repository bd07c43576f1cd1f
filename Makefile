# All that a developer runs. Each target sets up what it needs: a virtual environment from the constraints file,
# made once and again only when the pins or the project's own requirements change.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin

# The system's certificates, where pip knows none by itself: behind a proxy that has a certificate authority of its own.
# uv is told below; pip asks the system from version 24.2 on, and Python brings older ones.
SYSTEM_CERTIFICATES := $(firstword $(wildcard $(foreach file,certs/ca-certificates.crt certs/ca-bundle.crt cert.pem,\
	/etc/ssl/$(file) /etc/pki/tls/$(file))))
ifneq ($(SYSTEM_CERTIFICATES),)
ifndef REQUESTS_CA_BUNDLE
export PIP_CERT ?= $(SYSTEM_CERTIFICATES)
endif
endif

.PHONY: help setup demo dev stack test test-real pictures bench bench-kafka check format pins clean

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 13

setup: .venv/ready  ## make the virtual environment

.venv/ready: pyproject.toml constraints.txt
	@echo "Setting up .venv (once, and again when the pins change) …"
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, this is " + sys.version)'
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	@# Compiled now and not at each start: where PYTHONDONTWRITEBYTECODE is set, every command would take twice as long.
	@$(BIN)/uv pip install --system-certs --quiet --python $(BIN)/python --constraint constraints.txt --compile-bytecode --editable '.[dev]'
	@touch $@

demo: .venv/ready  ## seven simulated days, from events to a published top ten, in one process
	@$(BIN)/game-analytics demo

dev: .venv/ready  ## the Dagster UI with schedule and sensor, on an S3 server of its own
	@exec $(BIN)/game-analytics dev

stack: .venv/ready  ## what docker compose runs, as processes: Kafka, S3, PostgreSQL, code location, UI, daemon
	@exec $(BIN)/game-analytics stack

test: .venv/ready  ## all tests that need nothing but Python, with a share of each counted trial
	@$(BIN)/pytest --numprocesses 2 -m "not real and not trial"

test-real: .venv/ready  ## tests against real servers and a browser (skipped where these are missing), and the counted trials
	@$(BIN)/pytest --numprocesses 2 -m "real or trial"

pictures: .venv/ready  ## take the screenshots of the README and docs/ again, with a real browser
	@PICTURES=docs/images REQUIRE_STACK=1 $(BIN)/pytest game_analytics_tests/local_stack/stack/test_browser.py

bench: .venv/ready  ## the project beside its rivals and its own parts; an hour or more, and Java, for all of it
	@$(BIN)/python -m benchmarks $(FIGURES)

bench-kafka: .venv/ready  ## what landing from a real Kafka takes, beside a bare loop and the sketch's way; ten minutes
	@$(BIN)/python -m benchmarks.kafka

check: .venv/ready  ## format, lint, types, import contract, dead code, definitions; warnings are errors
	$(BIN)/ruff format --check --quiet
	$(BIN)/ruff check --quiet
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/vulture
	$(BIN)/python -W error -c "import dagster as dg; from game_analytics.definitions import defs; dg.Definitions.validate_loadable(defs)"
	$(BIN)/python -m game_analytics_tests.support.listed_assets
	@echo "check: clean"

format: .venv/ready  ## format the code and fix what the linter can fix
	@$(BIN)/ruff check --fix --quiet; $(BIN)/ruff format

pins: .venv/ready  ## renew constraints.txt with the newest versions that fit pyproject.toml
	@$(BIN)/uv pip compile --system-certs --quiet --upgrade --universal --all-extras --no-annotate --no-header --output-file constraints.txt pyproject.toml

clean:  ## remove the environment, caches and the local stack's data
	rm -rf .venv .local .mypy_cache .pytest_cache .ruff_cache .hypothesis
