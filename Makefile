# make train: environment, synthetic CT, a small training run and its score.   make test: the default tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := checkpoint/quickstart/seed2

WEIGHTS := resources/weights/synthetic_ct.pt
WEIGHTS_FIRST := checkpoint/weights/seed2
WEIGHTS_RUN := checkpoint/weights+weights_fine/seed2
PROCESSES ?= 2
# Of training the weights: bf16 is faster on a GPU, and on a CPU that has avx512_bf16.
PRECISION ?= auto
# Data folders of real CT to score the weights on, their test splits.
REAL ?=

.PHONY: help install install-dev data train weights test test-slow test-exhaustive lint format benchmark zoo faults fuzz tensorboard clean

help:
	@echo "make train            environment, synthetic CT, quickstart training, scores"
	@echo "make weights          the weights that ship, from the seed; REAL='data/A data/B' scores them on real CT"
	@echo "make test             environment, the default tests"
	@echo "make test-slow        networks at full size, every encoder, faults, memory"
	@echo "make test-exhaustive  every network learns, every network compiles; about an hour"
	@echo "make lint             ruff, check and format"
	@echo "make benchmark        speed and memory of training, loading and evaluation on this machine"
	@echo "make zoo              the table of all networks, measured on this machine, into resources/results/ and README.md"
	@echo "make faults           kill, cut, fill and spoil training runs on purpose; look for leaks"
	@echo "make fuzz             ten minutes or more of spoilt scans, images, tables, settings and checkpoints for every reader"
	@echo "make tensorboard      watch the runs in checkpoint/"
	@echo "make clean            remove the environment, data/synthetic and $(RUN)"

$(VENV)/.installed: requirements.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.10 or newer is needed" if sys.version_info < (3, 10) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps 'pysodmetrics>=1.6,<2'
	touch $@

install: $(VENV)/.installed

install-dev: $(VENV)/.installed-dev

# Advanced disease: large lesions, which a small network learns within minutes.
data/synthetic: | $(VENV)/.installed
	$(BIN)/python prepare.py synthetic --out data/synthetic --min-severity 0.65

data: data/synthetic

# A finished run stays as it is; --resume goes on with an interrupted one.
train: install data
	test -f $(RUN)/last.pt && resume=--resume; $(BIN)/python train.py --experiment quickstart $$resume
	$(BIN)/python test.py --checkpoint $(RUN)/best.pt --split test

WEIGHTS_SET = --set data.num_workers=$(PROCESSES) --set training.precision=$(PRECISION)

# Minutes on a GPU, an hour or two on two cores. A finished run stays as it is, as above.
data/weights: | $(VENV)/.installed
	$(BIN)/python prepare.py synthetic --out data/weights --patients 450 18 18 --slices 20 --size 320 --seed 18 --processes $(PROCESSES)

# Advanced disease, which few of the others have.
data/weights_advanced: | $(VENV)/.installed
	$(BIN)/python prepare.py synthetic --out data/weights_advanced --patients 140 6 6 --slices 20 --size 320 --seed 90018 --min-severity 0.6 --processes $(PROCESSES)

weights: install data/weights data/weights_advanced
	test -f $(WEIGHTS_FIRST)/last.pt && resume=--resume; $(BIN)/python train.py --experiment weights $(WEIGHTS_SET) $$resume
	test -f $(WEIGHTS_RUN)/last.pt && resume=--resume; $(BIN)/python train.py --experiment weights --experiment weights_fine $(WEIGHTS_SET) $$resume
	$(BIN)/python -m inference.export --checkpoint $(WEIGHTS_RUN)/best.pt --out $(WEIGHTS) --set data.blur=0.95 --set data.gamma=0.8 --set evaluation.min_lesion_size=40
	for root in $(REAL); do \
		$(BIN)/python test.py --checkpoint $(WEIGHTS) --set data.root=$$root --out $(WEIGHTS_RUN)/scores/$$(basename $$root) --no-report || exit; \
	done
	test -z "$(REAL)" || $(BIN)/python -m inference.weights_card --weights $(WEIGHTS) --scores $(foreach root,$(REAL),$(WEIGHTS_RUN)/scores/$(notdir $(root)))

test: install-dev
	$(BIN)/python -m pytest

test-slow: install-dev
	$(BIN)/python -m pytest -m slow

test-exhaustive: install-dev
	$(BIN)/python -m pytest -m exhaustive

lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: install-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmark: install
	$(BIN)/python -m benchmark

zoo: install
	$(BIN)/python -m benchmark zoo --csv resources/results/zoo.csv
	$(BIN)/python -m evaluation.results

faults: install-dev
	$(BIN)/python -m tests.faults.campaign
	$(BIN)/python -m tests.faults.long_run

fuzz: install-dev
	$(BIN)/python -m tests.fuzz.campaign --minutes 10 --inputs 20000

tensorboard: install
	$(BIN)/tensorboard --logdir checkpoint

clean:
	rm -rf $(VENV) data/synthetic $(RUN)
