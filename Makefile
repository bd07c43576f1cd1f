# Everything that a developer runs. Each target first sets up the virtual environment from the constraints file: once,
# and again only when the pins or the project's own requirements change.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin

# The system's certificates for pip, for use behind a proxy that has its own certificate authority. pip reads them by
# itself from version 24.2 on, but Python ships older ones; for uv see `--system-certs` below.
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

setup: .venv/ready  ## create the virtual environment

.venv/ready: pyproject.toml constraints.txt
	@echo "Setting up .venv (once, and again when the pins change) …"
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, this is " + sys.version)'
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	@# Compiled here: where PYTHONDONTWRITEBYTECODE is set, every command would else compile again and take twice as long.
	@$(BIN)/uv pip install --system-certs --quiet --python $(BIN)/python --constraint constraints.txt --compile-bytecode --editable '.[dev]'
	@touch $@

demo: .venv/ready  ## seven simulated days, from events to a published top ten, in one process
	@$(BIN)/game-analytics demo

dev: .venv/ready  ## the Dagster UI with schedule and sensor, on an S3 server of its own
	@exec $(BIN)/game-analytics dev

stack: .venv/ready  ## what docker compose runs, as processes: Kafka, S3, PostgreSQL, code location, UI, daemon
	@exec $(BIN)/game-analytics stack

test: .venv/ready  ## the tests that need only Python and little time
	@$(BIN)/pytest --numprocesses 2 -m "not real and not trial"

test-real: .venv/ready  ## tests on real servers and a browser (skipped where missing), and the long ones
	@# A core each: with more threads, Polars takes half as much time again for the small frames of a trial.
	@POLARS_MAX_THREADS=1 $(BIN)/pytest --numprocesses 2 -m "real or trial"

pictures: .venv/ready  ## take the screenshots of the README and docs/ again, with a real browser
	@PICTURES=docs/images REQUIRE_STACK=1 $(BIN)/pytest game_analytics_tests/local_stack/stack/test_browser.py

bench: .venv/ready  ## compare the project with other tools; all of it takes an hour or more, and needs Java
	@$(BIN)/python -m benchmarks $(FIGURES)

bench-kafka: .venv/ready  ## measure landing from a real Kafka beside a bare loop; ten minutes
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

pins: .venv/ready  ## update constraints.txt to the newest versions that fit pyproject.toml
	@$(BIN)/uv pip compile --system-certs --quiet --upgrade --universal --all-extras --no-annotate --no-header --output-file constraints.txt pyproject.toml

clean:  ## remove the environment, caches and the local stack's data
	rm -rf .venv .local .mypy_cache .pytest_cache .ruff_cache .hypothesis
