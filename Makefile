# Two commands do everything on a machine with python3.11, make and git: `make report` and `make test`.
# Everything is built into .venv from the hash lock; a second run rebuilds nothing it need not.
PYTHON ?= python3.11
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
JOBS ?= auto

# One thread for small fits: two on a busy machine cost a hundredfold (BLAS spinning).
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup report test lab proof lock spark clean format

help:  ## list these commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /make \1|/' | column -t -s '|'

setup: $(READY)  ## build .venv from requirements.lock

$(READY): requirements.lock pyproject.toml
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@awk '/^uv==/ {p=1} p {print} p && !/\\$$/ {exit}' requirements.lock > $(VENV)/uv.lock
	@echo "setting up .venv (once) ..."
	@$(PY) -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes -r $(VENV)/uv.lock
	@$(VENV)/bin/uv pip sync --quiet --python $(PY) --only-binary :all: --require-hashes --compile-bytecode requirements.lock
	@$(VENV)/bin/uv pip install --quiet --python $(PY) --no-deps --no-build-isolation --no-index --editable .
	@touch $(READY)

report: $(READY)  ## run the walk on the demo study: reports/demo/index.html
	@$(PY) -m cxlib report demo

test: $(READY)  ## every check and test
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy cxlib
	@$(PY) -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

lab: $(READY)  ## open JupyterLab on the notebooks
	@$(VENV)/bin/jupyter lab --notebook-dir notebooks --LabApp.news_url=None \
		--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate

proof: $(READY)  ## the long simulations: can be stopped and resumed, writes reports/proof.html
	@$(PY) -m tests.proof
	@CXLIB_EXAMPLES=2000 $(PY) -m pytest -n $(JOBS) tests/study/test_corruptions.py

format: $(READY)  ## format and sort
	@$(VENV)/bin/ruff check --fix --quiet . ; $(VENV)/bin/ruff format .

spark: $(READY)  ## add PySpark (needs Java 17) for the Spark tests
	@$(VENV)/bin/uv pip install --quiet --python $(PY) --require-hashes --no-build-isolation --compile-bytecode -r requirements-spark.lock

COMPILE := $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate
lock: $(READY)  ## resolve pyproject.toml anew into the lock files and environment.yml
	@$(COMPILE) --only-binary :all: --extra test --output-file requirements.lock pyproject.toml > /dev/null
	@printf 'pyspark==4.3.0\n' | $(COMPILE) --output-file requirements-spark.lock - > /dev/null
	@printf 'pm4py\nretentioneering==5.2.4\nChannelAttribution==2.2.5\nkmodes\n' | $(COMPILE) --output-file benchmarks/requirements.lock - > /dev/null
	@$(PY) tests/environment.py

clean:  ## remove what was built here
	rm -rf $(VENV) reports build *.egg-info
