# `make run` and `make test` need Python 3.11 or newer with venv, and nothing else; each makes its own environment below .venv.
PYTHON ?= python3
RECIPE ?= recipes/py311-psycopg.yaml
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test lint types unit docker code clean

run: $(VENV)/.run code
	$(BIN)/slimrun $(RECIPE)

test: lint types code
	$(BIN)/pytest -n 2

lint: $(VENV)/.test
	$(BIN)/ruff check engine tests benchmarks
	$(BIN)/ruff format --check engine tests benchmarks

types: $(VENV)/.test
	MYPYPATH=engine $(BIN)/mypy -p slimrun

unit: $(VENV)/.test code
	$(BIN)/pytest -n 2 -m "not docker and not network and not slow"

docker: $(VENV)/.test code
	$(BIN)/pytest -m docker

# Byte code, as pip would leave it: where PYTHONDONTWRITEBYTECODE is set, each run of slimrun would compile all of it anew.
code: $(VENV)/bin/python
	@$(BIN)/python -m compileall -q engine

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "slimrun needs Python 3.11 or newer; name one: make PYTHON=python3.12 run" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { echo "this Python has no venv; on Debian: apt-get install python3-venv" >&2; rm -rf $(VENV); exit 1; }

$(VENV)/.run: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/.test: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@ $(VENV)/.run

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
