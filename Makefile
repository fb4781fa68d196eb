# mlptui: `make run` sets everything up and starts it, `make test` sets everything up and proves it.
#   make run TORCH=cpu      the CPU build of torch (smaller); also cu126, cu128, ... or auto, see README
PYTHON ?= python3
TORCH ?=
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
UV = $$(command -v uv || echo $(BIN)/uv)
BACKEND := $(if $(TORCH),--torch-backend=$(TORCH))

.PHONY: run setup test check tests faults package bench screenshots clean

run: $(VENV)/.ready
	@exec $(BIN)/mlptui $(ARGS)

setup: $(VENV)/.ready-dev

# side by side: the tests wait for processes a fifth of their time
test: $(VENV)/.ready-dev
	@$(MAKE) --no-print-directory -j 2 check tests package

check: $(VENV)/.ready-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

tests: $(VENV)/.ready-dev
	$(BIN)/python -m pytest -n 2 --dist worksteal

package: $(VENV)/.ready-dev
	$(BIN)/python tools/check_package.py

bench: $(VENV)/.ready-dev
	$(BIN)/python -m benchmarks $(ARGS)

# the fault matrix at its full counts; takes hours: make faults ARGS=tests/terminal
faults: $(VENV)/.ready-dev
	$(BIN)/python -m pytest --campaign $(ARGS)

screenshots: $(VENV)/.ready-dev
	$(BIN)/python tools/screenshots.py

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v < (3, 14) else \
	    f"mlptui needs Python 3.11 to 3.13, this is {v[0]}.{v[1]}; give another one: make run PYTHON=python3.12")'
	@if command -v uv >/dev/null; then uv venv --quiet --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" $(VENV); \
	else $(PYTHON) -m venv $(VENV); fi

$(VENV)/.ready: pyproject.toml | $(BIN)/python
	@echo "setting up mlptui; torch with CUDA takes about 6 GB of disk (see README for smaller builds)"
	@command -v uv >/dev/null || [ -x $(BIN)/uv ] || { \
	    $(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null; \
	    $(BIN)/python -m pip install --quiet --disable-pip-version-check uv; }
	@$(UV) pip install --quiet --python $(BIN)/python $(BACKEND) -e .
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	@$(UV) pip install --quiet --python $(BIN)/python $(BACKEND) -e . --group dev
	@touch $@

clean:
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
