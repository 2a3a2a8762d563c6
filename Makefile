# Every target does its own set-up: Python 3.11 or newer and make are all it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet
# A process of tests more than there are cores, since many tests wait. A file of tests is never torn apart: its server is started once.
WORKERS ?= -n $(shell $(PYTHON) -c "import os; print(min(4, os.cpu_count() + 1))") --dist loadfile
HOME_DEMO := $(CURDIR)/.tilth-demo

.PHONY: demo up test check fix lint types contracts bench lock clean help

help:  ## Show the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/demo.stamp  ## Real flights -> tracked run -> model -> deployment -> predictions, in ./.tilth-demo (ONCE=1: do not stay up)
	@$(BIN)/python -m examples.flight_delay.demo --home $(HOME_DEMO) $(if $(ONCE),--once)

up: $(VENV)/demo.stamp  ## Start Tilth in ./.tilth
	@$(BIN)/tilth up --home $(CURDIR)/.tilth

test: $(VENV)/test.stamp  ## All tests but the slow ones
	@.ci/isolated $(BIN)/python -m pytest -q -m "not slow" $(WORKERS) $(ARGS)

check: lint types contracts test  ## What must pass before a change is done

lint: $(VENV)/test.stamp
	@$(BIN)/ruff check && $(BIN)/ruff format --check

types: $(VENV)/test.stamp
	@$(BIN)/mypy

contracts: $(VENV)/test.stamp
	@$(BIN)/lint-imports

fix: $(VENV)/test.stamp  ## Format, and mend what the linter can
	@$(BIN)/ruff check --fix --quiet; $(BIN)/ruff format

bench: $(VENV)/test.stamp  ## Measure what docs/benchmarks.md promises (minutes)
	@$(BIN)/python -m benchmarks

lock: $(VENV)/uv.stamp  ## Write requirements/*.txt anew from pyproject.toml
	@$(BIN)/uv pip compile -q --universal --generate-hashes --no-header --extra test pyproject.toml -o requirements/test.txt
	@$(BIN)/uv pip compile -q --universal --generate-hashes --no-header --extra demo -c requirements/test.txt pyproject.toml -o requirements/demo.txt

clean:  ## Remove the virtual environment and the demo's home
	rm -rf $(VENV) $(HOME_DEMO)

$(VENV)/uv.stamp: requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Tilth needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.12 ...")'
	@echo "setting up $(VENV) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

$(VENV)/demo.stamp: $(VENV)/uv.stamp requirements/demo.txt pyproject.toml
	@echo "installing what the demo needs ..."
	@$(UV) --require-hashes -r requirements/demo.txt
	@$(UV) --no-deps --editable .
	@touch $@

$(VENV)/test.stamp: $(VENV)/uv.stamp requirements/test.txt pyproject.toml
	@echo "installing what the tests need ..."
	@$(UV) --require-hashes -r requirements/test.txt
	@$(UV) --no-deps --editable .
	@touch $@
