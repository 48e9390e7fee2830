# make setup | demo | test | bench | lint      (nothing needs to be run before any of them)

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv)

ifdef UV
NEW_VENV = $(UV) venv --quiet --seed --python $(PYTHON) $(VENV)
INSTALL = VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet -c constraints.txt
else
NEW_VENV = $(PYTHON) -m venv $(VENV)
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
endif

# Each file of tests stays in one process: it shares a server or a browser.
PYTEST_FLAGS ?= -n auto --maxprocesses 4 --dist loadfile

.PHONY: setup demo test bench lint clean frontend kernels

setup: $(VENV)/.runtime frontend kernels

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	@echo "creating $(VENV)"
	@$(NEW_VENV)

# Dependencies are installed again only when their list changes.
$(VENV)/.runtime: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "installing packages"
	@$(INSTALL) -e '.[demo]'
	@touch $@

$(VENV)/.development: $(VENV)/.runtime
	@echo "installing test and lint tools"
	@$(INSTALL) -e '.[demo,test,lint]'
	@touch $@

frontend: $(VENV)/.runtime
	@$(BIN)/python frontend/build.py

kernels: $(VENV)/.runtime
	@$(BIN)/python -m ccstore.kernels

demo: setup
	@exec $(BIN)/ccserver demo $(DEMO_FLAGS)

test: setup $(VENV)/.development
	$(BIN)/python -m pytest $(PYTEST_FLAGS)

bench: setup
	$(BIN)/python -m benchmarks

lint: setup $(VENV)/.development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python frontend/build.py --check

clean:
	rm -rf $(VENV) ccserver/web frontend/node_modules frontend/src/generated
