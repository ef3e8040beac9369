# Two commands do everything on a fresh machine with Python 3.11 or newer: `make run` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help setup run book test lint check-notebooks reproduce lock clean

help:  ## Say what each target does
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: $(READY)  ## Make .venv with the pinned versions

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version) if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

run: setup  ## Set up, fit 7 baselines on 21 tasks, print the scores, build the book (simulated without real tables)
	$(BIN)/somb run
	$(BIN)/somb book

book: setup  ## Execute the notebooks on the data at hand and build the site
	$(BIN)/somb book

test: setup lint  ## Set up, check style and types, run the tests
	$(BIN)/pytest -n 2

check-notebooks: setup  ## Run every notebook anew on simulated tables and compare with its stored output
	SOMB_DATA= $(BIN)/pytest --nbval --nbval-sanitize-with tests/nbval_sanitize.cfg notebooks

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

reproduce: setup  ## Set every score of the published protocol beside the published one (needs the real tables)
	$(BIN)/somb reproduce

lock: setup  ## Pin the newest versions that pyproject.toml allows, in requirements.lock and environment.yml
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --no-header --no-annotate \
		--quiet --upgrade --output-file requirements.lock
	$(MAKE) environment.yml

environment.yml: requirements.lock
	{ sed '/- pip:/q' $@; sed 's/.*/      - "&"/' $<; echo '      - --editable .'; } > $@.tmp
	mv $@.tmp $@

clean:  ## Remove the environment, caches and built files; results stay
	rm -rf $(VENV) _build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
