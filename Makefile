# Every target sets up what it needs. PYTHON chooses the interpreter, and then has an environment
# of its own: PYTHON=python3.13 make test
ifdef PYTHON
VENV := .venv-$(notdir $(PYTHON))
else
VENV := .venv
SUITABLE = import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))
PYTHON := $(shell for python in python3.11 python3.12 python3.10 python3.13 python3; do \
	$$python -c '$(SUITABLE)' 2>/dev/null && { echo $$python; break; }; done)
endif
CHECK_VERSION = import sys; v = sys.version_info[:2]; (3, 10) <= v <= (3, 13) or sys.exit( \
	"it is Python %d.%d, and 3.10 to 3.13 is needed" % v)
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test test-fast lint format benchmark reference clean

demo: $(INSTALLED)  ## trains on melodies, or on DATA=folder, and generates audio
	$(BIN)/python tools/demo.py --output_dir demo $(if $(DATA),--data_dir "$(DATA)")

test: $(INSTALLED)  ## runs all tests, or those that ARGS selects: make test ARGS='-m "not once"'
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

test-fast: $(INSTALLED)  ## runs the tests that take less than a second each: for daily work
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow" $(ARGS)

lint: $(INSTALLED)  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED)  ## rewrites the code in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmark: $(INSTALLED)  ## measures sampling and renews table and picture of docs/benchmarks.md
	$(BIN)/python tools/benchmark.py --preset small --preset medium --preset paper \
	    --conditioning small --conditioning medium --readme docs/benchmarks.md \
	    --picture docs/benchmark.png

reference: $(INSTALLED)  ## renews the reference pages that follow from the code
	$(BIN)/python tools/make_reference.py --output_dir docs/reference

clean:  ## removes the environments and the demo
	rm -rf .venv .venv-* demo

$(INSTALLED): requirements.txt setup.cfg
	@test -n "$(PYTHON)" || { echo "No suitable Python found: install Python 3.11 (3.10 to 3.13 \
	work), or name one: make $(MAKECMDGOALS) PYTHON=/path/to/python" >&2; exit 1; }
	@reason=$$($(PYTHON) -c '$(CHECK_VERSION)' 2>&1) || { echo "$(PYTHON) cannot be used:" \
	$$reason >&2; echo "Name another: make $(MAKECMDGOALS) PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -e .
	@touch $@
