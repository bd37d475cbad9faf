# make book   the book, as HTML in _build/html        make test   everything that is checked
# make help   the other targets

PYTHON ?= python3
PY := $(shell $(PYTHON) tools/environment.py which)
DATA := $(wildcard data)

# A folder `data/` beside this file is used when SCALING_UTILS_DATA does not name another one.
ifndef SCALING_UTILS_DATA
ifneq ($(DATA),)
export SCALING_UTILS_DATA := $(CURDIR)/data
endif
endif

# One thread for each process: chapters and tests run side by side, and sums keep their order.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1
export MKL_NUM_THREADS ?= 1

PYTEST = $(PY) -m pytest -q -n logical --maxprocesses 8 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help environment data book chapters html serve test unit lint nbval benchmark clean distclean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

environment:  ## make .venv and install requirements.txt, if that is not done yet
	@$(PYTHON) tools/environment.py

book: chapters html  ## run the chapters, then build the book

chapters: environment  ## run the chapters into notebooks/*.ipynb; CH=05 runs one
	@$(PY) -m tools.chapters run $(CH)

html: environment  ## build the HTML from the notebooks as they are; every warning is an error
	@$(dir $(PY))jupyter-book build -q -W -n --keep-going . >/dev/null
	@$(PY) -m tools.pages

data: environment  ## download the published runs (FAMILIES="gpt3 opt"; all without it)
	@$(PY) -m scaling_utils fetch $(FAMILIES)

serve:  ## show the built book at http://localhost:8000
	@$(PY) -m http.server --bind localhost --directory _build/html 8000

test: lint unit nbval html  ## lint, unit tests, doctests, chapter checks, strict nbval, strict build

lint: environment  ## ruff and mypy
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

unit: environment  ## unit tests, doctests and chapter checks
	@$(PYTEST)

nbval: environment  ## run every chapter again and compare each number with the committed one
	@$(PYTEST) --nbval --nbval-current-env notebooks

benchmark: environment  ## time the fits against SciPy, in two minutes; the book's table: ARGS="--full --keep"
	@$(PY) -m benchmarks $(ARGS)

clean:  ## remove what is built; chapters, .venv and downloads stay
	@rm -rf _build build .pytest_cache .mypy_cache .ruff_cache *.egg-info
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

distclean: clean  ## also remove .venv and what an interrupted benchmark kept
	@rm -rf .venv .benchmarks
