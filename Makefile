# The text after `##` in the line of a target is its help.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 5000
DASHBOARD_PORT ?= 8080
SERVE_PORT ?= 5001
# Further arguments of pytest, for example: make test TESTS=tests/config
TESTS ?=
# In the order of tests/conftest.py: xdist would start with the files of most tests, and end with one busy worker.
LONGEST_FIRST := --no-loadscope-reorder
# One worker more than there are processors (tests/conftest.py), because tests also wait. Tests of one file share servers and networks.
IN_PARALLEL := --numprocesses auto --maxprocesses 4 --dist loadfile

# Use the registry and the results of this folder, even if the environment selects another MLflow server.
unexport MLFLOW_TRACKING_URI MLFLOW_REGISTRY_URI MLFLOW_RUN_ID MLFLOW_EXPERIMENT_ID MLFLOW_EXPERIMENT_NAME MLFLOW_ACTIVE_MODEL_ID

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow test-browser coverage test-wheel upgrade-check lint format typecheck check ui serve dashboard clean

help: ## Show this help
	@grep -hE '^[A-Za-z0-9_-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([^:]+):.*## /\1\t/' | expand -t 16

setup: $(VENV)/installed ## Create .venv with flowersweep and its dependencies (about a minute)

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:3]; \
	  sys.exit(0 if (3, 11, 4) <= v < (3, 14) else "flowersweep needs Python 3.11.4 to 3.13, but $(PYTHON) is %d.%d.%d; choose one: make setup PYTHON=python3.12" % v)'
	$(PYTHON) -m venv $(VENV)
	@echo "Installing TensorFlow, MLflow and the other packages into $(VENV) (about a minute) ..."
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: setup ## Train on synthetic flowers: needs no pictures and no network (under a minute)
	$(BIN)/python -m flowersweep data=demo model=cnn aug=RandomFlip trainer=quick

test: setup ## Run the fast tests (TESTS=tests/config)
	$(BIN)/python -m pytest $(IN_PARALLEL) $(TESTS)

test-slow: setup ## Run the slow tests: real photographs, real servers (minutes)
	$(BIN)/python -m pytest -m slow $(IN_PARALLEL) $(LONGEST_FIRST) --ignore=tests/browser
	$(MAKE) test-browser

test-browser: setup ## Run the slow tests of pages in a real browser (minutes)
	$(BIN)/python -m pytest -m slow tests/browser

coverage: setup ## Run all tests but those of pages and report uncovered lines; fails below the minimum in pyproject.toml
	$(BIN)/python -m pytest -m "" $(IN_PARALLEL) $(LONGEST_FIRST) --ignore=tests/browser --cov $(TESTS)

test-wheel: ## Run the fast tests against the wheel in a separate environment (minutes)
	.ci/test-wheel $(TESTS)

upgrade-check: ## List newer versions of packages, and run the fast tests with them (minutes)
	.ci/upgrade-check $(TESTS)

lint: setup ## Check style, common mistakes, and the import rules between packages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

format: setup ## Rewrite the code in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

typecheck: setup ## Check types, strictly
	$(BIN)/mypy

check: lint typecheck test ## Run all checks that must pass before a commit

ui: setup ## Compare results in the browser (PORT=5000)
	@$(BIN)/python -m flowersweep ui port=$(PORT)

serve: setup ## Serve the champion on 127.0.0.1 (SERVE_PORT=5001)
	@test -f mlruns/mlflow.db || { echo "There are no results yet; create some with: make demo"; exit 1; }
	PATH="$(CURDIR)/$(BIN):$$PATH" MLFLOW_TRACKING_URI=sqlite:///$(CURDIR)/mlruns/mlflow.db \
	  $(BIN)/mlflow models serve --model-uri models:/flowersweep@champion --env-manager local --host 127.0.0.1 --port $(SERVE_PORT)

dashboard: setup ## Watch studies in the browser, also while they run (DASHBOARD_PORT=8080)
	@test -f mlruns/optuna.db || { echo "There is no study yet; start one with: $(BIN)/python -m flowersweep --multirun data=demo trainer=quick aug=none,RandomFlip"; exit 1; }
	@test -x $(BIN)/optuna-dashboard || { echo "optuna-dashboard is not installed; install it with: $(BIN)/python -m pip install optuna-dashboard"; exit 1; }
	$(BIN)/optuna-dashboard sqlite:///$(CURDIR)/mlruns/optuna.db --host 127.0.0.1 --port $(DASHBOARD_PORT)

clean: ## Remove the environment and tool caches, but not the results in mlruns/
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist src/*.egg-info
