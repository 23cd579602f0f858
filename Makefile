# Commands of this repository. Each first installs what it needs into a virtual environment in .venv.
#
#   make demo             train an agent in about a minute and show the results
#   make test             run the tests
#   make test-emulated    run those that compute, in a random order and with the arithmetic of an older processor
#   make fuzz             take 2 million random, checked steps in the environments and games
#   make hostile          load HOSTILE=1200 hostile agent files and verify that they have no effect
#   make hostile-answers  score hostile answers to every reasoning-gym dataset and verify that they have no effect
#   make stress           repeat tiny runs between random memory allocations and compare the results bit by bit
#   make kills            kill runs at random times, resume them, and compare them with uninterrupted runs
#   make lint             check rules and formatting with ruff
#   make docs             generate the documentation (docs/ and the tables of the README)
#   make speed            run all benchmarks and write docs/speed.md (about half an hour on an idle machine)
#   make pretrained       train the pretrained agents anew, by their recipes
#   make gallery          film the environments for docs/gallery
#   make site             build the website into build/site
#   make clean            remove .venv, caches and build outputs, but not runs/

.PHONY: help demo test test-emulated fuzz hostile hostile-answers stress kills lint docs site speed pretrained gallery clean
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The first Python that is 3.11 or newer; `make test PYTHON=/path/to/python` chooses another.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3 python; do \
	$$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && break; done)

# Extras that `make test` installs, and the number of test processes.
EXTRAS ?= test
WORKERS ?= 2
HOSTILE ?= 1200
PYTEST_ARGS ?=
FUZZ_STEPS ?= 2000000

# Restricts torch (with oneDNN and MKL) and NumPy (with OpenBLAS) to instructions no newer than SSE, which changes the
# rounding of many results; and Numba, for the kernels that hold vectors or fuse a product and a sum. All other kernels
# round alike on every processor, so those that the usual tests have compiled serve again.
EMULATED := ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 MKL_CBWR=COMPATIBLE \
	NPY_DISABLE_CPU_FEATURES="X86_V3 X86_V4 AVX512_ICL AVX512_SPR" OPENBLAS_CORETYPE=Nehalem
EMULATED_NUMBA := NUMBA_CPU_NAME=generic

# Seed of the random test order. It is the commit, so that the order varies but failures can be reproduced.
SHUFFLE ?= $(shell git rev-parse --short HEAD 2>/dev/null || echo 0)
STRESS_ARGS ?=

# The newest release of PyTorch to install, also by the tests; a URL, because pip splits the variable at spaces.
space := $(subst ,, )
export PIP_CONSTRAINT := file://$(subst $(space),%20,$(CURDIR))/constraints.txt

BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Each worker first runs adjacent tests, which share fixtures and compiled code, and then takes over tests of others.
PYTEST = $(BIN)/pytest -n $(WORKERS) --dist worksteal
NEEDS := pyproject.toml setup.py constraints.txt | $(BIN)/python

help:
	@sed -n 's/^#   //p' Makefile

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "envzoo needs Python 3.11 or newer with the venv module; name one: make PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv .venv

# A stamp file for each set of extras; installing any set also updates the core stamp.
.venv/.installed-core: $(NEEDS)
	@echo "Installing envzoo and what it needs into .venv (a few minutes the first time)"
	$(INSTALL) -e .
	@touch $@

.venv/.installed-$(EXTRAS): $(NEEDS)
	@echo "Installing envzoo[$(EXTRAS)] and what it needs into .venv (a few minutes the first time)"
	$(INSTALL) -e '.[$(EXTRAS)]'
	@touch $@ .venv/.installed-core

ifneq ($(EXTRAS),text)
.venv/.installed-text: $(NEEDS)
	$(INSTALL) -e '.[text]'
	@touch $@ .venv/.installed-core
endif

.venv/.installed-ruff: $(NEEDS)
	$(INSTALL) -e '.[dev]'
	@touch $@ .venv/.installed-core

demo: .venv/.installed-core
	$(BIN)/python -P -m envzoo.scripts.demo

test: .venv/.installed-$(EXTRAS)
	$(PYTEST) $(PYTEST_ARGS)

# Leaves out what does not depend on arithmetic (commands, documents, files, bad input). Uses separate caches, because
# the usual ones contain code compiled for, and results obtained on, this processor. No test of a kind is no failure.
test-emulated: .venv/.installed-$(EXTRAS)
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	run() { "$$@" || test $$? -eq 5; } && export ENVZOO_CACHE="$$folder/envzoo" && \
	run env $(EMULATED) $(PYTEST) --shuffle $(SHUFFLE) -m "not any_arithmetic and not vectors" $(PYTEST_ARGS) && \
	run env $(EMULATED) $(EMULATED_NUMBA) NUMBA_CACHE_DIR="$$folder/numba" \
		$(PYTEST) --shuffle $(SHUFFLE) -m "not any_arithmetic and vectors" $(PYTEST_ARGS)

hostile: .venv/.installed-$(EXTRAS)
	ENVZOO_HOSTILE=$(HOSTILE) $(BIN)/pytest -n 0 -s tests/agents/test_hostile.py $(PYTEST_ARGS)

# Without -P, because the folder of the script, not the repository root, is first on Python's path.
fuzz: .venv/.installed-$(EXTRAS)
	$(BIN)/python tests/fuzz/fuzz.py --steps $(FUZZ_STEPS)

lint: .venv/.installed-ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

stress: .venv/.installed-core
	OMP_NUM_THREADS=1 GLIBC_TUNABLES=glibc.malloc.tcache_count=0 $(BIN)/python -P -m envzoo.scripts.stress $(STRESS_ARGS)

# For a shorter run: make hostile-answers ANSWERS_ARGS="--entries 0 --datasets countdown".
ANSWERS_ARGS ?=
hostile-answers: .venv/.installed-text
	$(BIN)/python -P -m envzoo.scripts.hostile_answers $(ANSWERS_ARGS)

.venv/.installed-foreign: $(NEEDS)
	$(INSTALL) -e '.[foreign]'
	@touch $@ .venv/.installed-core

kills: .venv/.installed-foreign
	$(BIN)/python -P -m envzoo.scripts.bench.kills $(KILLS_ARGS)

docs: .venv/.installed-core
	$(BIN)/python -P -m envzoo.scripts.build_docs

.venv/.installed-bench: $(NEEDS)
	$(INSTALL) -e '.[bench,text]'
	@touch $@ .venv/.installed-core

pretrained: .venv/.installed-core
	OMP_NUM_THREADS=1 $(BIN)/python -P -m envzoo.scripts.pretrain

gallery: .venv/.installed-core
	$(BIN)/python -P -m envzoo.scripts.gallery

# For a short form: make speed SPEED_ARGS="--quick --names env train".
SPEED_ARGS ?=
speed: .venv/.installed-bench
	$(BIN)/python -P -m envzoo.scripts.bench.speed $(SPEED_ARGS)

.venv/.installed-site: $(NEEDS)
	$(INSTALL) -e '.[site]'
	@touch $@ .venv/.installed-core

site: .venv/.installed-site
	$(BIN)/python -P -m envzoo.scripts.site.build

clean:
	rm -rf .venv build dist envzoo.egg-info .pytest_cache .ruff_cache .hypothesis
	find envzoo agents wrappers datasets scripts tests -name __pycache__ -type d -prune -exec rm -rf {} +
