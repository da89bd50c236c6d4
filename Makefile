# `make help` lists the targets. PYTHON=python3.12 selects an interpreter, TORCH_BACKEND=cpu (or cu128, ...) a build of torch.
PYTHON ?= python3
TORCH_BACKEND ?=
BIN := .venv/bin
RUN := $(BIN)/python -m
# The locked hashes are for the default builds; other builds have the same versions, but their hashes cannot be checked.
BACKEND := $(if $(TORCH_BACKEND),--torch-backend=$(TORCH_BACKEND) --no-verify-hashes,--require-hashes)

.DEFAULT_GOAL := help
.PHONY: help install demo test test-scale lint format bench lock tensorboard clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

install: .venv/.installed  ## create .venv with the pinned packages

.venv/.installed: constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 14) else f"Python 3.11 to 3.13 is required, but {v[0]}.{v[1]} was found; type: make install PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python $(BACKEND) -r constraints.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: install  ## train a ResNet-20 on handwritten digits in about a minute
	$(RUN) vision2.train model=resnet20 dataset=digits train.epochs=8
	@echo "Curves:  $(BIN)/tensorboard --logdir outputs     Page:  $(BIN)/python -m vision2.report outputs/digits"

test: install  ## run the tests offline on the CPU
	CUDA_VISIBLE_DEVICES= HF_HUB_OFFLINE=1 $(RUN) pytest

test-scale: install  ## run the tests of several processes and jobs at once
	CUDA_VISIBLE_DEVICES= HF_HUB_OFFLINE=1 $(RUN) pytest -m scale

lint: install  ## check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: install  ## fix style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install  ## measure speeds relative to baselines
	$(BIN)/python scripts/bench.py

lock: install  ## resolve the newest allowed versions into constraints.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --extra dev --extra heif --extra notebooks --extra onnx --extra search --no-header --no-annotate \
		--upgrade pyproject.toml --output-file constraints.txt

tensorboard: install  ## serve all runs in TensorBoard
	$(BIN)/tensorboard --logdir outputs

clean:  ## remove the environment and builds (runs are kept)
	rm -rf .venv build dist
