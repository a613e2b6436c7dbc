# make demo, make test: each sets itself up. The others: make help.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO := runs/demo
export KWS_CACHE ?= $(CURDIR)/runs/cache

.PHONY: demo test lint bench targets help clean

help:  ## what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "make: $(PYTHON) is older than 3.10: run make PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV): about a minute, and 5 GB on Linux, where torch carries CUDA"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

# threads that wait for each other cost more than they give
demo: export OMP_NUM_THREADS = 1
demo: $(READY)  ## every notebook with our answers, graded; then a class of ten
	@$(BIN)/python -m grader.selftest.demo $(DEMO)

test: $(READY)  ## the test suite: three at a time for two cores, since some wait
	@$(BIN)/python -m pytest -q -n 3

lint: $(READY)  ## format, lint, types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/pyright

bench: $(READY)  ## every benchmark: a table, and last one line of JSON
	@for script in benchmarks/[a-z]*.py; do grep -q __main__ $$script || continue; echo "== $$script"; $(BIN)/python $$script || exit 1; done

targets: $(READY)  ## what our own answers reach, seed by seed: the bounds of graded accuracies
	@for number in 03 04 05; do $(BIN)/python -m grader.course.targets --assignment $$number || exit 1; done

clean:  ## remove what make made, the environment included
	rm -rf $(VENV) runs build *.egg-info
