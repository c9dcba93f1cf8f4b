# Every habit of the project is one target. `make help` lists them.
#
# PYTHON    the interpreter that creates .venv                     (default: python3)
# PIP_ARGS  further options for pip install, e.g. another index    (default: none)
# ARGS      further options for the command a target runs          (default: none)
# PEER      an interpreter with neural-tangents, for make bench     (default: none)

PYTHON   ?= python3
PIP_ARGS ?=
ARGS     ?=
PEER     ?=

VENV     := .venv
BIN      := $(VENV)/bin
PACKAGES := theory numerics verify
BENCHES  := $(filter-out __init__,$(notdir $(basename $(wildcard benchmarks/*.py))))
SOURCES  := $(PACKAGES) tests tools book/_ext $(wildcard benchmarks)

# pip says nothing unless something is wrong.
PIP := $(BIN)/python -m pip --disable-pip-version-check install -qq --no-input $(PIP_ARGS)

.DEFAULT_GOAL := help
.PHONY: help setup verify full test test-all lint format types imports book \
        readme figures bench hooks clean distclean
.NOTPARALLEL:
.DELETE_ON_ERROR:

help:  ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' \
		$(MAKEFILE_LIST)

# ------------------------------------------------------------------------------ environment
# One stamp for each set of extras: pip runs again only when a dependency list has changed.

$(BIN)/python:
	@echo "Creating $(VENV) with $(PYTHON)"
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing graphonlimit and its dependencies (a few minutes the first time)"
	@$(PIP) -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-%: $(VENV)/.installed
	@echo "Installing what '$*' needs"
	@$(PIP) -c constraints.txt -e '.[$*]'
	@touch $@

.PRECIOUS: $(VENV)/.installed-%

setup: $(VENV)/.installed $(VENV)/.installed-test $(VENV)/.installed-dev $(VENV)/.installed-book  ## install everything a contributor needs

# ----------------------------------------------------------------------------------- results
verify: $(VENV)/.installed  ## check every claim, quick profile; writes report/
	@$(BIN)/graphonlimit verify --profile quick --json report/verdicts.json --report report $(ARGS)

full: $(VENV)/.installed  ## the same with the full profile (hours; goes on where it was stopped)
	@$(BIN)/graphonlimit verify --profile full --json report/verdicts.json --report report $(ARGS)

# The kernel's settings come from here and not from the user's home, so that a page is the same
# everywhere; only its errors are logged.
KERNEL := $(VENV)/ipython/profile_default/ipython_kernel_config.py

$(KERNEL): | $(BIN)/python
	@mkdir -p $(@D)
	@printf 'c = get_config()\nc.IPKernelApp.log_level = 40\n' > $@

book: $(VENV)/.installed-book $(KERNEL)  ## build the book from nothing, warnings as errors
	@rm -rf book/_build
	@IPYTHONDIR=$(CURDIR)/$(VENV)/ipython GRAPHONLIMIT_BOOK=$(CURDIR)/book/_build/outcomes \
		GRAPHONLIMIT_STORE=$${GRAPHONLIMIT_STORE:-$(CURDIR)/.graphonlimit/trials.sqlite} \
		$(BIN)/jupyter-book build -W -n --keep-going book $(ARGS)
	@$(BIN)/python tools/check_offline.py book/_build/html

bench: $(VENV)/.installed-bench  ## speed and memory, as ratios to a peer measured in the same run
	@mkdir -p report
	@set -e; for subject in $(BENCHES); do echo "== $$subject"; \
		case $$subject in kernels|empirical_ntk) peer="$(PEER)";; *) peer=;; esac; \
		$(BIN)/python -m benchmarks.$$subject --json report/bench-$$subject.json \
			$${peer:+--peer "$$peer"}; done

figures: $(VENV)/.installed  ## draw the README's figure again
	@$(BIN)/python tools/readme_figure.py

readme: $(VENV)/.installed  ## write the README's table of claims again
	@$(BIN)/python tools/readme_table.py

# ------------------------------------------------------------------------------------ habits
test: $(VENV)/.installed-test  ## all tests but the slow ones
	@$(BIN)/python -m pytest $(ARGS)

test-all: $(VENV)/.installed-test  ## all tests
	@$(BIN)/python -m pytest -m "slow or not slow" $(ARGS)

lint: $(VENV)/.installed-dev  ## ruff: errors, import order, layout
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/ruff format --check $(SOURCES)

format: $(VENV)/.installed-dev  ## let ruff repair what it can
	@$(BIN)/ruff check --fix-only $(SOURCES)
	@$(BIN)/ruff format $(SOURCES)

types: $(VENV)/.installed-dev  ## mypy on the three packages
	@$(BIN)/mypy

imports: $(VENV)/.installed-dev  ## import-linter: verify, then numerics, then theory
	@$(BIN)/lint-imports

hooks: $(VENV)/.installed-dev  ## run the quick habits before every commit
	@$(BIN)/pre-commit install

clean:  ## remove build products and caches; results of finished trials stay
	@rm -rf report book/_build build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache \
		.hypothesis .import_linter_cache
	@find $(PACKAGES) tests tools $(wildcard benchmarks) -name __pycache__ -type d -prune \
		-exec rm -rf {} +

distclean: clean  ## clean, and remove the environment too
	@rm -rf $(VENV)
