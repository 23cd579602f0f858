# The commands of this repository. Each makes what it needs: a virtual environment in .venv with envzoo installed in it.
#
#   make demo    learn a policy in about a minute and look at it
#   make test    run the tests
#   make lint    ruff: rules and format
#   make stress  repeat tiny runs among random allocations and count differing bits (STRESS_ARGS="--repetitions 20")
#   make docs    write the generated documentation (docs/ and the tables of the README)
#   make clean   remove .venv, caches and build outputs; runs/ is kept

.PHONY: help demo test lint stress docs clean
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The first Python that is 3.11 or newer; `make test PYTHON=/path/to/python` chooses another.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3 python; do \
	$$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && break; done)

# Extras that `make test` installs, and how many processes run the tests.
EXTRAS ?= test
WORKERS ?= 2
PYTEST_ARGS ?=
STRESS_ARGS ?=

BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
NEEDS := pyproject.toml setup.py | $(BIN)/python

help:
	@sed -n 's/^#   //p' Makefile

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "envzoo needs Python 3.11 or newer with the venv module; name one: make PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv .venv

# A stamp for each set of extras; the core one is renewed by every other.
.venv/.installed-core: $(NEEDS)
	@echo "Installing envzoo and what it needs into .venv (a few minutes the first time)"
	$(INSTALL) -e .
	@touch $@

.venv/.installed-$(EXTRAS): $(NEEDS)
	@echo "Installing envzoo[$(EXTRAS)] and what it needs into .venv (a few minutes the first time)"
	$(INSTALL) -e '.[$(EXTRAS)]'
	@touch $@ .venv/.installed-core

.venv/.installed-ruff: $(NEEDS)
	$(INSTALL) -e '.[dev]'
	@touch $@ .venv/.installed-core

demo: .venv/.installed-core
	$(BIN)/python -P -m envzoo.scripts.demo

test: .venv/.installed-$(EXTRAS)
	$(BIN)/pytest -n $(WORKERS) $(PYTEST_ARGS)

lint: .venv/.installed-ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

stress: .venv/.installed-core
	OMP_NUM_THREADS=1 GLIBC_TUNABLES=glibc.malloc.tcache_count=0 $(BIN)/python -P -m envzoo.scripts.stress $(STRESS_ARGS)

docs: .venv/.installed-core
	$(BIN)/python -P -m envzoo.scripts.build_docs

clean:
	rm -rf .venv build dist envzoo.egg-info .pytest_cache .ruff_cache .hypothesis
	find envzoo agents wrappers datasets scripts tests -name __pycache__ -type d -prune -exec rm -rf {} +
