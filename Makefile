# make demo, make course, make test: each sets itself up. The others: make help.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO := runs/demo
COURSE := runs/course
NEWEST := build/newest
BOOK := build/book/env
INSTALL := -m pip install --disable-pip-version-check
TORCH_INDEX ?=
TORCH_BACKEND ?=
COMPILE := -m uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-header --no-annotate
export KWS_CACHE ?= $(CURDIR)/runs/cache
unexport PYTHONDONTWRITEBYTECODE  # or else each of the tests' processes compiles everything again

.PHONY: book course demo test slow lint bench targets newest lock help clean

help:  ## what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# Another build of torch has other hashes than the lock: only then is the lock taken without them.
$(READY): pyproject.toml lock/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "make: $(PYTHON) is older than 3.10: run make PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
ifneq ($(TORCH_BACKEND),)
	@echo "Installing into $(VENV), with uv, torch for $(TORCH_BACKEND)"
	@$(BIN)/python $(INSTALL) --require-hashes --requirement lock/uv.txt
	@$(BIN)/python -m uv pip install --python $(BIN)/python --torch-backend $(TORCH_BACKEND) --constraint lock/constraints.txt '.[dev]' setuptools
else ifeq ($(TORCH_INDEX),)
	@echo "Installing into $(VENV): about a minute, and 5 GB on Linux, where torch carries CUDA"
	@$(BIN)/python $(INSTALL) --require-hashes --requirement lock/dev.txt
else
	@echo "Installing into $(VENV), torch from $(TORCH_INDEX)"
	@$(BIN)/python $(INSTALL) --constraint lock/constraints.txt --index-url '$(TORCH_INDEX)' --no-deps torch torchaudio
	@$(BIN)/python $(INSTALL) --constraint lock/constraints.txt '.[dev]' setuptools
endif
	@$(BIN)/python $(INSTALL) --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# threads that wait for each other cost more than they give
demo: export OMP_NUM_THREADS = 1
demo: $(READY)  ## a notebook run and graded, a training, a class of ten: three minutes (ONLY=03: that notebook)
	@$(BIN)/python -m grader demo $(DEMO) $(if $(ONLY),--only $(ONLY))

course: export OMP_NUM_THREADS = 1
course: $(READY)  ## every notebook with its trainings, graded, then a class of ten; interrupted, it continues
	@$(BIN)/python -m grader demo $(COURSE) --all

$(BOOK)/.ready: lock/book.txt
	@$(PYTHON) -m venv $(BOOK)
	@$(BOOK)/bin/python $(INSTALL) --require-hashes --requirement lock/book.txt
	@touch $@

book: export OMP_NUM_THREADS = 1
book: $(READY) $(BOOK)/.ready  ## the course as a site without answers, in build/book/html
	@$(BIN)/python -m grader book build/book --sphinx $(BOOK)/bin/python --reference $(COURSE)/reference

test: $(READY)  ## the test suite, on two cores; what the tests of a file share is made once
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile

slow: $(READY)  ## the tests that `make test` leaves out, for their time: half an hour
	@$(BIN)/python -m pytest -q -n 2 -m slow

lint: $(READY)  ## format, lint, types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/pyright

bench: $(READY)  ## every benchmark: a table, and last one line of JSON
	@for script in benchmarks/[a-z]*.py; do grep -q __main__ $$script || continue; echo "== $$script"; $(BIN)/python $$script || exit 1; done

targets: $(READY)  ## what our own answers reach, seed by seed: the bounds of graded accuracies
	@$(BIN)/python -m grader targets

newest:  ## the tests with the newest allowed version of every dependency: what would break?
	@$(PYTHON) -m venv --clear $(NEWEST)
	@$(NEWEST)/bin/python $(INSTALL) --upgrade --upgrade-strategy eager --editable '.[dev]'
	@$(NEWEST)/bin/python -m pip install --dry-run --no-deps --requirement lock/constraints.txt | sed -n 's/^Would install/Locked at other versions:/p'
	@$(NEWEST)/bin/python -m pytest -q -n 2 --dist loadfile
	@$(NEWEST)/bin/pyright --pythonpath $(NEWEST)/bin/python

lock:  ## the exact versions again, after a change of pyproject.toml; UPGRADE=--upgrade takes the newest
	@$(PYTHON) -m venv build/lock && build/lock/bin/python $(INSTALL) uv
	@echo 'setuptools>=77' > build/lock/build.in
	@build/lock/bin/python $(COMPILE) $(UPGRADE) --extra dev --output-file lock/dev.txt pyproject.toml build/lock/build.in > /dev/null
	@build/lock/bin/python $(COMPILE) $(UPGRADE) --extra notebooks --constraint lock/dev.txt --output-file lock/students.txt pyproject.toml build/lock/build.in > /dev/null
	@build/lock/bin/python $(COMPILE) $(UPGRADE) --group book --output-file lock/book.txt > /dev/null
	@echo uv | build/lock/bin/python $(COMPILE) $(UPGRADE) --output-file lock/uv.txt - > /dev/null
	@sed -E '/--hash=|^(nvidia-|cuda-|triton==)/d; s/ *\\$$//' lock/dev.txt > lock/constraints.txt

clean:  ## remove what make made, the environment included
	rm -rf $(VENV) runs build *.egg-info
