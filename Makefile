# Every target sets up what it needs: a virtual environment in .venv, Python packages, and, on
# Debian, the Arm toolchain and QEMU.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: setup demo test check accept bench compare format clean

setup: $(STAMP)

$(STAMP): pyproject.toml scripts/setup.sh
	PYTHON="$(PYTHON)" sh scripts/setup.sh
	touch $@

demo: setup
	$(BIN)/edgecomp demo -o out/demo

test: setup
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile

check: setup
	$(BIN)/ruff check edgecomp tests benchmarks
	$(BIN)/ruff format --check edgecomp tests benchmarks
	$(BIN)/mypy
	$(BIN)/python -m pytest -m "not slow and not device" -x -n 2 tests/unit tests/property tests/architecture

accept: setup
	$(BIN)/python -m pytest -m slow -n 2 --dist loadfile

bench: setup
	$(BIN)/python -m benchmarks.run --keep

# The part of the benchmark that continuous integration has time for, against the best ever kept.
compare: setup
	$(BIN)/python -m benchmarks.run --compare --models kws ad --optimize balanced

format: setup
	$(BIN)/ruff check --fix edgecomp tests benchmarks
	$(BIN)/ruff format edgecomp tests benchmarks

clean:
	rm -rf out dist .mypy_cache .ruff_cache .pytest_cache
