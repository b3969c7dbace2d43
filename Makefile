# `make` lists the targets. Everything is installed with pip into .venv; nothing outside this folder changes.
# Kept to what GNU make 3.81 knows, which is the one on macOS.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=

# Written when an install is complete, so that an interrupted one is taken up again by the next call.
INSTALLED := $(VENV)/.attune-installed
DEV       := $(VENV)/.attune-dev

# The scripts of a virtual environment carry its absolute path, so a folder that was moved, or whose Python
# was removed, needs a new one. The place is written only by this file: a .venv that you made is left alone.
PLACE := $(shell cat $(VENV)/.attune-place 2>/dev/null)
STALE := $(if $(realpath $(BIN)/python),,yes)
ifneq ($(PLACE),)
ifneq ($(PLACE),$(CURDIR))
STALE := yes
endif
endif
ifeq ($(STALE),yes)
.PHONY: $(INSTALLED) $(DEV) $(BIN)/python
endif

.DEFAULT_GOAL := help
.PHONY: help chat install dev test slow lint format types contracts check sprout bench clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F '|' '{ printf "%-18s %s\n", $$1, $$2 }'

chat: $(INSTALLED) ## install what is missing and open Attune (ARGS="--model …" is passed on)
	@$(BIN)/attune $(ARGS)

install: $(INSTALLED) ## create .venv and install Attune in it; the command is then .venv/bin/attune

dev: $(DEV) ## install, with what the tests and checks need

test: $(DEV) ## run the tests (ARGS="-k name" is passed on to pytest)
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist worksteal $(ARGS)

slow: $(DEV) ## run the long tests
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist worksteal -m slow --timeout 1200 $(ARGS)

lint: $(DEV) ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(DEV) ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(DEV) ## mypy
	$(BIN)/mypy

contracts: $(DEV) ## import contracts: which floor may import which
	$(BIN)/lint-imports

check: lint types contracts test ## all of the above, as .ci/run does

sprout: $(INSTALLED) ## train the embedded model anew (hours on two cores)
	$(BIN)/python -m policies.seed.train $(ARGS)

bench: $(INSTALLED) ## run five of the benches: sprout, learning, serving, crash, start (ARGS=--quick for a short run)
	$(BIN)/attune bench sprout --json $(ARGS)
	$(BIN)/attune bench learning --json $(ARGS)
	$(BIN)/attune bench serving --json $(ARGS)
	$(BIN)/attune bench crash --json $(ARGS)
	$(BIN)/attune bench start --json $(ARGS)

clean: ## remove .venv, caches and build output (your conversations lie elsewhere and stay)
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
	find agent env memory policies tests -type d -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Attune needs Python 3.11 or newer; '$(PYTHON)' is older or missing. Try: make install PYTHON=python3.12" >&2; \
	  exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) || { \
	  rm -rf $(VENV); \
	  echo "Could not create .venv. On Debian and Ubuntu, install the package python3-venv; then try again." >&2; \
	  exit 1; }
	@pwd -P > $(VENV)/.attune-place

# One pip call resolves everything: torch is capped in the same call that could otherwise pull a newer one.
$(INSTALLED): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Attune into .venv (the first time takes some minutes)"
	$(BIN)/python -m pip install -c constraints.txt -e .
	@touch $@

$(DEV): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Attune and its checks into .venv (the first time takes some minutes)"
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev]'
	@touch $(INSTALLED) $@
