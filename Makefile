# Two commands do everything on a fresh machine with Python 3.11 or newer: `make run` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help setup run book test explore lint audit check-notebooks reproduce benchmarks pictures lock clean

help:  ## Say what each target does
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: $(READY)  ## Make .venv with the pinned versions

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version) if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes \
		--requirement requirements.lock --constraint requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

run: setup  ## Set up, fit 7 baselines on 21 tasks, print the scores, build the book (simulated without real tables)
	$(BIN)/somb run
	$(BIN)/somb book

book: setup  ## Execute the notebooks on the data at hand and build the site
	$(BIN)/somb book

# Stored outputs are of simulated tables, so tests and notebooks must find no real ones; fitted folds stay in _build.
# Notebooks come first and in order: the leaderboard and the audit read folds that the categories have fitted.
# Two test processes fill two cores: notebooks, which ask for a worker per core, get one, and start no process for it;
# linear algebra gets one thread, since waiting threads of two processes take the cores from one another.
ONE_CORE := LOKY_MAX_CPU_COUNT=1 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
SIMULATED := SOMB_DATA= SOMB_FETCHED=$(SOMB_CACHE) SOMB_CACHE=$(CURDIR)/_build/cache $(ONE_CORE)
NBVAL := --nbval --nbval-current-env --nbval-sanitize-with tests/nbval_sanitize.cfg notebooks
PARALLEL := -n 2 --dist loadfile --no-loadscope-reorder

test: setup lint  ## Set up, check style and types, run the tests and every notebook
	$(SIMULATED) $(BIN)/pytest $(PARALLEL) $(NBVAL) tests

explore: setup  ## Try ten times as many generated inputs, other ones each time (CI does it every night)
	$(SIMULATED) $(BIN)/pytest $(PARALLEL) -m 'slow or not slow' --hypothesis-profile nightly tests

check-notebooks: setup  ## Run every notebook anew on simulated tables and compare with its stored output
	$(SIMULATED) $(BIN)/pytest $(PARALLEL) $(NBVAL)

benchmarks: setup  ## Measure speed on the data at hand and write book/benchmarks.md (leave the machine alone meanwhile)
	$(BIN)/python benchmarks

pictures: setup  ## Draw the pictures of the README and of the book's first page anew (needs the real tables)
	cd notebooks && $(CURDIR)/$(BIN)/python -m figures.first_page

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

audit: setup  ## Look for known faults of the pinned packages and for weak places of the workflows (needs a network)
	$(BIN)/zizmor --offline .github
	$(BIN)/pip-audit --require-hashes --disable-pip --requirement requirements.lock

reproduce: setup  ## Set every score of the published protocol beside the published one (needs the real tables)
	$(BIN)/somb reproduce

# All extras but `local-llm`: what serves a model on this machine is needed by no other command, and by no test of CI.
LOCKED := $(foreach extra,book llm signature cluster export dev,--extra $(extra))

lock: setup  ## Pin the newest versions that pyproject.toml allows, in requirements.lock and environment.yml
	$(BIN)/uv pip compile pyproject.toml $(LOCKED) --universal --python-version 3.11 --no-header --no-annotate \
		--quiet --upgrade --generate-hashes --output-file requirements.lock
	$(MAKE) environment.yml

# Without hashes, with which pip refuses the editable package beside them.
environment.yml: requirements.lock
	{ sed '/- pip:/q' $@; sed -nE 's/^([a-z].*) \\$$/      - "\1"/p' $<; echo '      - --editable .'; } > $@.tmp
	mv $@.tmp $@

clean:  ## Remove the environment, caches and built files; results stay
	rm -rf $(VENV) _build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
