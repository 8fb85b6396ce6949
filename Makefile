# make demo | make demo-multiview | make test | make test-fast: each sets up everything it needs; the second time set-up is skipped.
PYTHON ?= python3
BIN := .venv/bin

TESTS = $(BIN)/python -m pytest --dist loadfile --no-loadscope-reorder --durations=20

.PHONY: demo demo-multiview test tests test-fast test-slow test-gpu fuzz coverage lint docs audit sbom lock pin-images check-images setup clean

demo: setup
	$(BIN)/python -m jobs.demo output=demo

# Two phones to a champion: several cameras label, one camera is lifted.
demo-multiview: setup
	$(BIN)/python -m jobs.demo_multiview output=demo-multiview

# The checks of lint take a core for a minute, beside which tests run: both must succeed.
test: setup
	@$(MAKE) --no-print-directory -j 2 tests lint

# Those with Ray one after another, which keeps little more than one of two cores busy; beside them those without Ray, and
# then files with Ray that measure no time and are patient. All run even if some fail, so that one run names all that do.
WITH_RAY = $(TESTS) -n 0 -m 'ray and not slow'
PATIENT = $(addprefix tests/,jobs/test_demo.py jobs/test_demo_multiview.py jobs/test_compare.py jobs/test_walks.py \
	cluster/test_remote_mlflow.py)
BESIDE = .pytest_cache/beside.txt
tests: setup
	@mkdir -p $(dir $(BESIDE)); \
	{ $(TESTS) -n 1 -m 'not ray and not slow'; plain=$$?; $(WITH_RAY) $(PATIENT) && exit $$plain; } > $(BESIDE) 2>&1 & \
	$(WITH_RAY) $(addprefix --ignore=,$(PATIENT)); ray=$$?; wait $$!; beside=$$?; \
	cat $(BESIDE); [ $$ray = 0 ] && [ $$beside = 0 ]

# What needs no Ray, but for some tests of several seconds each.
test-fast: setup
	$(TESTS) -n 2 -m 'not ray and not slow and not long'

# Faults that take minutes, and a second kind of store; docs/reliability.md has their last result.
test-slow: setup
	$(TESTS) -n 0 -m slow

# On a machine with a GPU: what cannot be seen elsewhere.
test-gpu: setup
	$(TESTS) -n 0 -m gpu

# Generated nonsense for every reader of files of others, for some minutes; then each for FUZZ_S seconds by the branches
# that it takes. What is found worth keeping stays in tests/io/corpus, what is wrong in .fuzz/crash-….
FUZZ_S ?= 20
fuzz: setup
	FUZZ_EXAMPLES=5000 $(TESTS) -n 2 --timeout=3600 tests/io/test_nonsense.py tests/io/test_nonsense_documents.py
	@test -d .fuzz/atheris || $(BIN)/python -m pip install -q --disable-pip-version-check --no-deps -t .fuzz atheris==3.0.0
	@for name in $$(PYTHONPATH=.fuzz $(BIN)/python tests/io/fuzz_readers.py 2>/dev/null); do \
		mkdir -p tests/io/corpus/$$name; echo "fuzz $$name"; \
		PYTHONPATH=.fuzz $(BIN)/python tests/io/fuzz_readers.py $$name tests/io/corpus/$$name -max_total_time=$(FUZZ_S) \
			-timeout=30 -rss_limit_mb=3000 -artifact_prefix=.fuzz/ >.fuzz/log 2>&1 || { tail -40 .fuzz/log; exit 1; }; \
	done

# Of the process that runs the tests: what Ray's workers and other processes execute is not counted.
coverage: setup
	$(TESTS) -n 0 --cov --cov-report=term:skip-covered --cov-report=html

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

# The documentation and the API reference as pages in site/; any warning is an error.
docs: setup
	@test -x $(BIN)/mkdocs || $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

# Known vulnerabilities of what is pinned; --strict: what the advisory service does not know counts as a finding. In an
# environment of its own: the tool is no part of what it looks at.
audit:
	@test -x .audit/bin/pip-audit || { $(PYTHON) -m venv .audit && .audit/bin/pip install -q pip-audit==2.10.1; }
	.audit/bin/pip-audit --strict --requirement constraints.txt --no-deps --disable-pip --progress-spinner off

# Everything that is installed, as CycloneDX, with the FFmpegs and other libraries inside of wheels.
sbom: setup
	@test -x .audit/bin/cyclonedx-py || { $(PYTHON) -m venv .audit && .audit/bin/pip install -q cyclonedx-bom==7.5.0; }
	$(BIN)/python .ci/sbom.py .audit/bin/cyclonedx-py .venv sbom.json

# The hashes of everything that is pinned; after a change of constraints.txt.
lock:
	.ci/lock

# The digest of every image into the files of cluster/, by asking the registries; and which have none.
pin-images:
	$(PYTHON) .ci/pin_images.py

check-images:
	@$(PYTHON) .ci/pin_images.py --check

setup: .venv/.installed

# A stamp: installs again only when the dependencies change.
.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Raylift needs Python 3.11 or newer, this is %s: make PYTHON=python3.11" % sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf .venv .audit .fuzz sbom.json demo demo-multiview site htmlcov .coverage
