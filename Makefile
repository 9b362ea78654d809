# The house's commands. Every one works from a clean checkout: the tools come with `make venv`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
RELEASED := proto/released.binpb
WORKERS ?= 2

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv system-deps run demo test pytest lint format types contracts proto proto-lint \
	proto-breaking release-image lock bench clean

help: ## List the commands.
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

venv: $(STAMP) ## Make .venv with what requirements.lock pins, and the project itself, editable.

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is wanted; name it: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps -e .
	@touch $@

system-deps: ## Install the Redis server that the Cluster and Sentinel tests run on, where that is possible.
	@$(PYTHON) scripts/system_deps.py

run: venv ## Start emulator, Redis and gateway here, and show them at work until Ctrl-C.
	$(BIN)/photoroom-gateway demo --keep-serving

demo: venv ## The same, once through.
	$(BIN)/photoroom-gateway demo

# The cheap checks come first; the order holds under `make -j` too.
test: venv ## Run every check and every test.
	@$(MAKE) --no-print-directory system-deps
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory types
	@$(MAKE) --no-print-directory contracts
	@$(MAKE) --no-print-directory proto-lint
	@$(MAKE) --no-print-directory proto-breaking
	@$(MAKE) --no-print-directory pytest

pytest: venv ## Run the tests alone; ARGS="-k digest" narrows them.
	$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

lint: venv ## Check style and formatting, and list what is longer than our bar.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@$(BIN)/python -m tests.policy.sizes

format: venv ## Put Python and protos in shape.
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	$(BIN)/buf format --write

types: venv ## Check the types, strictly.
	$(BIN)/mypy
	$(BIN)/mypy scripts

contracts: venv ## Check who may import whom.
	@$(BIN)/lint-imports --no-logo

proto: venv ## Generate gateway/v1 from proto/.
	$(BIN)/python scripts/proto.py

proto-lint: venv ## Check the style and the comments of the protos.
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code

proto-breaking: venv ## Check that no released message has changed its meaning.
	@if [ -f $(RELEASED) ]; then set -x; $(BIN)/buf breaking --against $(RELEASED); \
	else echo "buf breaking: nothing is released yet ($(RELEASED) comes with make release-image)"; fi

release-image: venv ## Record the protos as released: from then on they only grow.
	$(BIN)/buf build --exclude-source-info -o $(RELEASED)

lock: venv ## Pin the dependencies of pyproject.toml in requirements.lock.
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --all-extras --python-version 3.11 \
		--custom-compile-command "make lock" pyproject.toml -o requirements.lock

bench: venv ## Measure against bare servers and peers, side by side.
	$(BIN)/python -m bench

clean: ## Remove what the commands above made.
	rm -rf $(VENV) dist build demo-out .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
