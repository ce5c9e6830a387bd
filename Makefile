# `make demo` and `make test` work alone on a fresh machine with Python 3.11 or newer.
# Everything lands in .venv (and .venv-core); `make clean` removes what was made.

PYTHON ?= python3
# Passed to every pip install, for example "--index-url https://…".
PIP_FLAGS ?=
# Passed to pytest, for example "tests/images -k zarr".
ARGS ?=

VENV := .venv
CORE := .venv-core
INSTALL = -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) -c constraints.txt
# First and alone: another request for torch takes gigabytes of graphics card libraries along.
TORCH := torch==2.13.0
DISPLAYED := scripts/with_display.sh
STRICT := NAPARI_STRICT_QT=raise
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

.PHONY: help demo test soak check core-test screenshot guide bench format constraints clean python-check window-libraries

help: ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 24

demo: $(VENV)/demo.stamp ## the whole loop on a generated stack; results in demo/
	$(VENV)/bin/napari-unetseg demo --headless --overwrite -o demo

test: $(VENV)/test.stamp window-libraries ## unit and window tests, minutes
	$(STRICT) $(DISPLAYED) $(VENV)/bin/python -m pytest -m "not soak" $(ARGS)

soak: $(VENV)/test.stamp window-libraries ## long runs, kills and fuzzing
	$(STRICT) $(DISPLAYED) $(VENV)/bin/python -m pytest -m soak --timeout 3600 $(ARGS)

check: $(VENV)/test.stamp ## lint, format, types, layer contracts, plugin manifest
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-logo
	$(VENV)/bin/npe2 validate napari_unetseg/napari.yaml

core-test: $(CORE)/test.stamp ## the tests of all but the window, where no Qt is installed
	UNETSEG_WITHOUT_QT=1 $(CORE)/bin/python -m pytest -p no:pytest-qt -m "not soak and not window" \
		--ignore tests/widgets --ignore tests/soak $(ARGS)

screenshot: $(VENV)/test.stamp window-libraries ## take the README's picture again
	$(DISPLAYED) $(VENV)/bin/python scripts/screenshot.py $(ARGS)

guide: $(VENV)/test.stamp window-libraries ## make docs/guide.md and its pictures again, minutes
	UNETSEG_SCREEN=2600x1500x24 $(DISPLAYED) $(VENV)/bin/python scripts/user_guide.py $(ARGS)

bench: $(VENV)/test.stamp window-libraries ## every benchmark, one after the other
	for benchmark in benchmarks/*.py; do \
		echo "== $$benchmark"; $(DISPLAYED) $(VENV)/bin/python $$benchmark $(ARGS); \
	done

format: $(VENV)/test.stamp ## put the code in its usual form
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

constraints: $(VENV)/test.stamp ## write constraints.txt again, from what is installed in .venv
	{ head -n 1 constraints.txt; \
	  $(VENV)/bin/python -m pip freeze --exclude-editable | sed 's/+[a-z0-9.]*$$//'; } > constraints.new
	mv constraints.new constraints.txt

clean: ## remove environments, caches and results
	rm -rf $(VENV) $(CORE) demo build dist .coverage .hypothesis .mypy_cache .pytest_cache \
		.ruff_cache .import_linter_cache
	find napari_unetseg tests -name __pycache__ -type d -prune -exec rm -rf {} +

python-check:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "This needs Python 3.11 or newer, and $(PYTHON) is not: $$($(PYTHON) -V 2>&1 || true)." \
		"Name another, for example: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@scripts/system_packages.sh venv --python $(PYTHON)

window-libraries:
	@scripts/system_packages.sh window

%/python.stamp: | python-check
	$(PYTHON) -m venv $*
	touch $@

$(VENV)/demo.stamp: pyproject.toml constraints.txt $(VENV)/python.stamp
	$(VENV)/bin/python $(INSTALL) $(TORCH)
	$(VENV)/bin/python $(INSTALL) -e .
	touch $@

$(VENV)/test.stamp: pyproject.toml constraints.txt $(VENV)/python.stamp
	$(VENV)/bin/python $(INSTALL) $(TORCH)
	$(VENV)/bin/python $(INSTALL) -e ".[all,test,dev]"
	touch $(VENV)/demo.stamp $@

$(CORE)/test.stamp: pyproject.toml constraints.txt $(CORE)/python.stamp
	$(CORE)/bin/python $(INSTALL) $(TORCH)
	$(CORE)/bin/python $(INSTALL) -e ".[test]"
	touch $@
