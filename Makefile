# make demo | make test: each sets up everything it needs; the second time set-up is skipped.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint setup clean

demo: setup
	$(BIN)/python -m jobs.demo output=demo

test: setup lint
	$(BIN)/python -m pytest

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

setup: .venv/.installed

# A stamp: installs again only when the dependencies change.
.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Raylift needs Python 3.11 or newer, this is %s: make PYTHON=python3.11" % sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf .venv demo
