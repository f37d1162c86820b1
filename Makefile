# Two commands do everything: `make demo` and `make test`. Each sets up what is missing.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Where pip finds the CPU build of torch; elsewhere it would bring several GB of CUDA.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help install demo up check test unit clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(READY) ## Set up the environment in .venv

$(READY): pyproject.toml constraints.txt deploy/install.sh
	PYTHON=$(PYTHON) TORCH_INDEX=$(TORCH_INDEX) bash deploy/install.sh $(VENV) '.[cpu,dev]' --editable
	@touch $@

demo: $(READY) ## Run the whole loop: upload, train, load, evaluate, split, promote, report
	$(BIN)/python -m examples.demo

up: $(READY) ## Start the stack and keep it running
	$(BIN)/graftline up

check: $(READY) ## Lint, types and import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(READY) ## The fast tests: no real vLLM, no training
	$(BIN)/python -m pytest -m "not integration"

test: check ## Everything: the checks, then every test, the real vLLM included
	bash deploy/test-tools.sh
	$(BIN)/python -m pytest --cov --cov-report=term

clean: ## Remove the environment and everything the stack stored
	rm -rf $(VENV) .graftline
