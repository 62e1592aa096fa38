# Two commands do all the set-up: `make demo` and `make test`. Both build .venv once and leave it alone afterwards.
#
#   PYTHON       the interpreter .venv is built with (3.11 to 3.14)
#   TORCH_INDEX  where torch comes from, if not from the default registry (the README says how to get the CPU build on Linux)

PYTHON ?= python3
TORCH_INDEX ?=
BIN := .venv/bin
PIP := $(BIN)/python -m pip
BROWSER := $(if $(shell command -v npm),tests/browser/installed)
FRAME := setup.cfg pyproject.toml constraints.txt

.PHONY: demo test check lint benchmarks machines gpu viewer clean

demo: .venv/installed
	$(BIN)/refine demo

test: lint $(BROWSER)
	$(BIN)/pytest -n 2

check: lint $(BROWSER)
	$(BIN)/pytest -n 2 -m "not slow"

lint: .venv/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

benchmarks: .venv/installed-dev
	$(BIN)/python -m tests.benchmarks

# The suite as other processors, thread counts and Pythons would run it: hours.
machines: .venv/installed-dev
	$(BIN)/python -m tests.machines

# Where there is a CUDA device: what must hold there, and how fast samples are made and networks trained (`tests/gpu/train.sh` trains one).
gpu: .venv/installed-dev
	$(BIN)/pytest -m gpu tests/gpu
	$(BIN)/python -m tests.gpu.speed

# The part of three.js that a result's page needs; after its version has changed in tests/browser/package.json.
viewer: tests/browser/installed
	cd tests/browser && npx --yes esbuild@0.28.2 three.entry.js --bundle --minify --format=iife --global-name=THREE \
	  --legal-comments=inline --outfile=../../refine/viz/viewer/three.bundle.js

clean:
	rm -rf .venv .machines build dist *.egg-info tests/browser/node_modules tests/browser/installed

# Programs of others that read what refine writes; where they cannot be had their tests are skipped.
tests/browser/installed: tests/browser/package.json
	-npm install --silent --no-package-lock --prefix tests/browser && touch $@

# torch first and by itself, because it alone may come from another index.
.venv/torch: constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) install torch==2.13.0 $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX))
	touch $@

.venv/installed: .venv/torch $(FRAME)
	$(PIP) install -c constraints.txt -e .
	touch $@

.venv/installed-dev: .venv/torch $(FRAME)
	$(PIP) install -c constraints.txt -e ".[dev]"
	touch $@ .venv/installed
