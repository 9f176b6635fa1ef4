# `make quickstart` and `make test` need nothing but Python 3.11 or later: they set up .venv once and use it again.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# One test process for each core, at most 8; tests of one group, such as those that start Ray, run in one process.
PARALLEL := --numprocesses logical --maxprocesses 8 --dist loadgroup

.PHONY: install quickstart readme-figure test test-slow test-long lint format clean

install: $(STAMP)

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("raycal needs Python 3.11 or later, this is " + sys.version.split()[0] \
		+ "; try: make PYTHON=python3.12 ...") if sys.version_info < (3, 11) else None'
	test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV)
	@echo "installing into $(VENV): about 7 GB, most of it torch; a few minutes"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $(STAMP)

quickstart: $(STAMP)
	$(BIN)/python -m raycal.sweep sweeps/quickstart.yaml --resume

readme-figure: $(STAMP)
	$(BIN)/python sweeps/readme_figure.py runs/evidence sweeps/figures/evidence.png

test: $(STAMP)
	$(BIN)/python -m pytest $(PARALLEL) $(TESTS)

test-slow: $(STAMP)
	$(BIN)/python -m pytest $(PARALLEL) -m 'slow and not long and not gpu'

test-long: $(STAMP)
	$(BIN)/python -m pytest -m 'long and not gpu'

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy raycal

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) *.egg-info .mypy_cache .pytest_cache .ruff_cache
