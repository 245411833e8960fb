# Every target sets up what it needs: a virtual environment in .venv, Python packages, and, on
# Debian, the Arm toolchain and QEMU.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: setup demo test check accept format clean

setup: $(STAMP)

$(STAMP): pyproject.toml scripts/setup.sh
	PYTHON="$(PYTHON)" sh scripts/setup.sh
	touch $@

demo: setup
	$(BIN)/edgecomp demo -o out/demo

test: setup
	$(BIN)/python -m pytest -m "not slow"

check: setup
	$(BIN)/ruff check edgecomp tests
	$(BIN)/ruff format --check edgecomp tests
	$(BIN)/mypy
	$(BIN)/python -m pytest -m "not slow and not device" -x

accept: setup
	$(BIN)/python -m pytest -m slow

format: setup
	$(BIN)/ruff check --fix edgecomp tests
	$(BIN)/ruff format edgecomp tests

clean:
	rm -rf out dist .mypy_cache .ruff_cache .pytest_cache
