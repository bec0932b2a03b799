# Each target sets up what it needs in .venv, and does nothing twice. `make help` lists them.

PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo test check bench soak setup postgres systemd pins clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' Makefile

demo: .venv/.rl ## replay real prices through several strategies and train two more, offline
	@$(BIN)/papertape demo

test: check postgres systemd ## check, then run all tests
	@$(BIN)/pytest

check: .venv/.test ## lint, formatting and types
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

bench: .venv/.bench ## measure the engine's speed
	@$(BIN)/papertape bench

soak: .venv/.test ## the long tests
	@$(BIN)/pytest -m soak

setup: .venv/.test ## install for development into .venv
	@:

# The store is tested on a real server. Where this is not root on Debian, those tests are skipped and say what to install.
postgres:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! command -v initdb >/dev/null \
		&& ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then \
		echo "Installing PostgreSQL, for the tests of the store ..."; \
		{ apt-get update --quiet=2 && apt-get install --quiet=2 --yes --no-install-recommends postgresql; } >/dev/null \
			|| echo "That failed; the tests of the store on PostgreSQL will be skipped." >&2; \
	fi

# The units are tested by systemd's own analysis, which reads files and starts nothing. Installing it starts nothing either.
systemd:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! command -v systemd-analyze >/dev/null; then \
		echo "Installing systemd, for the tests of its units ..."; \
		{ apt-get update --quiet=2 && apt-get install --quiet=2 --yes --no-install-recommends systemd; } >/dev/null \
			|| echo "That failed; the tests of the units will be skipped." >&2; \
	fi

# .venv/.EXTRA is there when the extra is installed, as of these files. pip takes the pins from its environment, for
# then they hold for the isolated builds too; the second name is that of newer versions of pip.
INPUTS := pyproject.toml constraints.txt Makefile
INSTALL = PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable

# torch comes in a build for CPUs, of a tenth of the size, and one for CUDA. pip takes the former where its
# configuration leads to it; without that, on Linux, the latter, with its CUDA packages on top of the pins.
.venv/.rl: $(INPUTS)
	@$(call venv,a minute)
	@$(INSTALL) '.[rl]'
	@touch $@

.venv/.test: $(INPUTS)
	@$(call venv,two minutes)
	@$(INSTALL) '.[rl,test]'
	@touch .venv/.rl $@

.venv/.bench: $(INPUTS)
	@$(call venv,a minute)
	@$(INSTALL) '.[rl,bench]'
	@touch .venv/.rl $@

# $(call venv,TIME): says what is coming, and makes .venv if there is none that works
define venv
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Papertape needs Python 3.11 or newer, but $(PYTHON) is: $$($(PYTHON) --version 2>&1)." >&2; \
		echo "Name another one: make $(or $(MAKECMDGOALS),setup) PYTHON=python3.12" >&2; \
		exit 1; }; \
	echo "Installing into .venv, which takes about $(1) ..."; \
	$(BIN)/python -c 'import pip' 2>/dev/null || $(PYTHON) -m venv --clear .venv
endef

pins: ## write constraints.txt anew, with the newest versions that pyproject.toml allows
	@$(PYTHON) -m venv --clear .venv-pins
	@.venv-pins/bin/python -m pip install --quiet --disable-pip-version-check --upgrade setuptools wheel
	@.venv-pins/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[rl,test,bench]'
	@{ grep '^#' constraints.txt; \
	   .venv-pins/bin/python -m pip freeze --all --exclude pip --exclude-editable | sed 's/+cpu$$//'; \
	 } > .venv-pins/constraints.txt
	@! grep -E '^(nvidia|cuda|triton)' .venv-pins/constraints.txt || { \
		echo "These come with torch's CUDA build; let pip find the CPU build, then repeat." >&2; exit 1; }
	@mv .venv-pins/constraints.txt constraints.txt
	@rm -rf .venv-pins
	@git diff --stat -- constraints.txt

clean: ## remove .venv and what the tools left, but no results of runs
	@rm -rf .venv .venv-pins build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
