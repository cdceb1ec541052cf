# What a person or a CI does here. PYTHON=… chooses the interpreter that .venv is made with.
SHELL := /bin/bash
BIN := .venv/bin
STAMP := .venv/.installed
# Tests wait as much as they compute.
WORKERS ?= $(shell expr $$(nproc) + 1)

# Servers and commands start in half the time from compiled modules, and tests start hundreds.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: install demo test lint bench serve clean
.DEFAULT_GOAL := install

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt scripts/make-venv
	scripts/make-venv
	@touch $@

demo: install
	$(BIN)/gristmill demo

test: install
	scripts/system-packages
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	scripts/check-sizes

bench: install
	$(BIN)/python -m bench --sizes full --output docs/benchmarks.md

serve: install
	$(BIN)/gristmill serve

clean:
	rm -rf .venv .venv-clients build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
