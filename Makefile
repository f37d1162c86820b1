# Two commands do everything: `make demo` and `make test`. Each sets up what is missing.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Where pip finds the CPU build of torch; elsewhere it would bring several GB of CUDA.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
export PIP_DISABLE_PIP_VERSION_CHECK := 1

PEERS := build/peers
TRACKERS := build/trackers
MOTO := build/moto
# Options of the benchmarks, such as BENCH=--quick.
BENCH ?=
# Model families to try; all by default.
FAMILIES ?=

# The pure modules: every line and branch of them is covered by the fast tests.
comma := ,
empty :=
space := $(empty) $(empty)
PURE := registry/chatdata.py registry/lifecycle.py \
	registry/planning/memory.py registry/planning/rules.py registry/planning/shape.py \
	registry/planning/speed.py \
	service/features.py service/ramping.py service/routing.py service/scores.py \
	service/splitting.py service/units.py service/wanted.py \
	service/fleet/attempts.py service/fleet/choice.py service/fleet/health.py \
	service/fleet/placement.py \
	registry/policy.py registry/sample_size.py \
	trainer/judgement.py trainer/packing.py trainer/plan.py \
	evals/bootstrap.py evals/clustered.py evals/clusters.py evals/compare.py \
	evals/intervals.py evals/limits.py evals/prediction_powered.py evals/sequential.py \
	evals/verdict.py \
	evals/drift/bins.py evals/drift/categories.py evals/drift/comparison.py \
	evals/drift/divergence.py evals/drift/features.py evals/drift/numbers.py \
	evals/drift/separation.py evals/drift/texts.py evals/drift/verdict.py

# A worker spends 20 s of processor time on imports before its first test.
FAST := -m "not integration" -n 2 --dist loadfile --ignore=tests/integration
# Where the other tests are; nothing else is imported for them.
SLOW := tests/contract tests/integration
# What each of those lanes says at its end of its longest tests.
SLOWEST := --durations=12 --durations-min=10

.PHONY: help install demo up check test test-stack test-processes test-engine unit coverage families bench-serving bench-engine bench-swaps bench-training bench-data bench-methods trackers bench-evals object-stores bench-drift clean

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
	bash deploy/test-tools.sh
	$(BIN)/python -m pytest $(FAST)

# Five lanes, two at a time, the next as soon as one ends; every lane runs, whatever became of the
# others, and what each said is printed whole when it ends. In this order both cores have work until
# the end: the two that take longest begin, and those that compute meet those that wait.
test: $(READY) ## Everything: the checks, then every test, the real vLLM included
	bash deploy/test-tools.sh
	$(MAKE) --no-print-directory --keep-going --jobs=2 --output-sync=target test-processes test-stack unit test-engine check

# Threads that wait for each other would wait for the other lane too.
test-stack test-processes test-engine unit: export OMP_NUM_THREADS := 1

test-stack: $(READY) # every test on the one real stack
	$(BIN)/python -m pytest $(SLOW) -m "integration and stack" $(SLOWEST)

test-engine: $(READY) # every test with a real vLLM and no more
	$(BIN)/python -m pytest $(SLOW) -m "integration and engine" $(SLOWEST)

test-processes: $(READY) # every other test with real processes
	$(BIN)/python -m pytest $(SLOW) -m "integration and not stack and not engine" $(SLOWEST)

# Apart from `test`: on Python 3.11 watching every line took 110 of the fast tests 2.5 times the
# processor time.
coverage: $(READY) ## Branch coverage of the fast tests; the pure modules must be covered whole
	bash deploy/test-tools.sh
	$(BIN)/python -m pytest $(FAST) --cov --cov-report=term
	$(BIN)/coverage report --include=$(subst $(space),$(comma),$(strip $(PURE))) --fail-under=100

families: $(READY) ## Every model family through the real vLLM; FAMILIES="phi3 olmoe" for some
	$(BIN)/python -m tests.families $(FAMILIES)

trackers: $(READY) $(TRACKERS)/.ready ## What MLflow and Weights & Biases see of a job, with their real libraries
	$(BIN)/python -m pytest tests/contract/test_trackers.py --trackers $(TRACKERS)

# Beside the environment, not in it: MLflow's client and the CPU engine want different versions.
$(TRACKERS)/.ready:
	$(BIN)/python -m pip install --quiet --target $(TRACKERS) wandb==0.31.0 mlflow-skinny==3.17.2
	@touch $@

object-stores: $(READY) $(MOTO)/.ready ## The artifact store over another make of S3 server, moto's
	$(BIN)/python -m pytest tests/unit/registry/test_artifact_store.py --moto $(MOTO)

$(MOTO)/.ready:
	$(BIN)/python -m pip install --quiet --target $(MOTO) 'moto[s3,server]==5.2.5'
	@touch $@

bench-serving: $(READY) $(PEERS)/.ready ## Graftline beside litellm and vllm-router, on a mock upstream
	$(BIN)/python -m tests.benchmarks.serving $(BENCH)

bench-engine: $(READY) ## Throughput through the service and without it, on the real vLLM
	bash deploy/test-tools.sh
	bash deploy/bench-tools.sh
	$(BIN)/python -m tests.benchmarks.serving.engine $(BENCH)

bench-swaps: $(READY) ## Pauses in streams while versions are promoted, on the real vLLM
	bash deploy/test-tools.sh
	$(BIN)/python -m tests.benchmarks.swaps $(BENCH)

bench-training: $(READY) build/trl/.ready ## Our training beside a plain script with trl, on this machine
	$(BIN)/python -m tests.benchmarks.training $(BENCH)

# Beside the environment, not in it: nothing but the benchmark needs it.
build/trl/.ready:
	$(BIN)/python -m pip install --quiet --no-deps --target build/trl trl==1.16.0
	@touch $@

bench-evals: $(READY) build/lm-eval/.ready ## Our evaluations beside lm-eval, the cache, the statistics
	bash deploy/test-tools.sh
	$(BIN)/python -m tests.benchmarks.evals $(BENCH)

# It runs on our libraries: what it needs beside them lies in a folder of its own.
build/lm-eval/.ready: tests/benchmarks/evals/peers.txt
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target build/lm-eval --requirement $<
	@touch $@

bench-data: $(READY) ## Seconds and memory of the report on 100,000 rows
	$(BIN)/python -m tests.benchmarks.data_report $(BENCH)

bench-methods: $(READY) ## What each training technique learns of the example tickets
	$(BIN)/python -m tests.benchmarks.methods $(BENCH)

bench-drift: $(READY) ## Seconds of each drift statistic on a million rows, and of the text test
	$(BIN)/python -m tests.benchmarks.drift $(BENCH)

# The peers' requirements are not ours: they never meet in one environment.
$(PEERS)/.ready: tests/benchmarks/serving/peers.txt deploy/bench-tools.sh
	bash deploy/bench-tools.sh
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --requirement tests/benchmarks/serving/peers.txt
	@touch $@

clean: ## Remove the environment and everything the stack stored
	rm -rf $(VENV) $(PEERS) .graftline
