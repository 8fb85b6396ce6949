# make demo | make test: each sets up everything it needs; the second time set-up is skipped.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-slow lint audit setup clean

demo: setup
	$(BIN)/python -m jobs.demo output=demo

test: setup lint
	$(BIN)/python -m pytest

# Faults that take minutes; docs/reliability.md has their last result.
test-slow: setup
	$(BIN)/python -m pytest -m slow

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

# Known vulnerabilities of what is pinned; --strict: what the advisory service does not know counts as a finding. In an
# environment of its own: the tool is no part of what it looks at.
audit:
	@test -x .audit/bin/pip-audit || { $(PYTHON) -m venv .audit && .audit/bin/pip install -q pip-audit==2.10.1; }
	.audit/bin/pip-audit --strict --requirement constraints.txt --no-deps --disable-pip --progress-spinner off

setup: .venv/.installed

# A stamp: installs again only when the dependencies change.
.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Raylift needs Python 3.11 or newer, this is %s: make PYTHON=python3.11" % sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf .venv .audit demo
