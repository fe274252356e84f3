# Everything goes into .venv; `make` lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

PYTHON ?= python3
BIN := .venv/bin
UV = VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --constraints constraints.txt
RUN := exp/demo
CHROMIUM ?= chromium
FIREFOX ?= firefox-esr

.PHONY: help demo demo-transcribe demo-train model-an4 model-commands-en model-read-en model-phones-en lm-books-en test fuzz lint format bench web test-web measure-web browser firefox docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "speechrnn needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V). Try: make PYTHON=python3.12"; exit 1; }
	@echo "== making .venv"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	@touch $@

.venv/base: .venv/made pyproject.toml constraints.txt
	@echo "== installing speechrnn (numpy, soundfile, soxr, onnxruntime)"
	@$(UV) --editable .
	@touch $@

.venv/train: .venv/base
	@echo "== installing the training extra (torch, Lightning, Lhotse, ...)"
	@$(UV) --editable '.[train]'
	@touch $@

.venv/dev: .venv/train
	@echo "== installing the development extra"
	@$(UV) --editable '.[train,serve,report,dev]'
	@touch $@

demo: demo-transcribe demo-train ## transcribe real clips, then train on real digits and use the result (6 minutes)

demo-transcribe: .venv/base
	@echo "== real clips, transcribed by the model that ships with speechrnn"
	@$(BIN)/speechrnn evaluate data/samples/transcripts.tsv

demo-train: .venv/train
	@rm -rf $(RUN)
	@echo "== the Free Spoken Digit Dataset: manifests of its official split"
	@$(BIN)/python recipes/fsdd/prepare.py --out $(RUN)/data
	@echo "== training a digit classifier"
	@$(BIN)/speechrnn fit --config recipes/fsdd/gru.yaml --data.root $(RUN)/data --trainer.default_root_dir $(RUN)/gru
	@echo "== the trained model as one file, measured on the official test split"
	@$(BIN)/speechrnn export $(RUN)/gru/checkpoints/best.ckpt $(RUN)/digits.onnx
	@$(BIN)/speechrnn evaluate $(RUN)/data/test.jsonl.gz -m $(RUN)/digits.onnx
	@echo "== and used on a clip"
	@$(BIN)/speechrnn transcribe -m $(RUN)/digits.onnx data/samples/fsdd_*.wav

# The models again. AN4=, LIBRISPEECH= and SPEECH_COMMANDS= name releases that are unpacked already; else they are
# downloaded. NOISE= is a folder of recordings without speech.
# What was interrupted goes on; the result lies in exp/ and replaces nothing.
FIT = $(BIN)/speechrnn fit --config $(2) --trainer.default_root_dir $(1) --data.root $(1)/data \
  $$(test -f $(1)/checkpoints/last.ckpt && echo --ckpt_path last)

exp/an4/data/train.jsonl.gz: | .venv/train
	@$(BIN)/python recipes/an4/prepare.py $(if $(AN4),--source $(AN4)) --out $(@D)

exp/an4/final/data/train.jsonl.gz: | .venv/train
	@$(BIN)/python recipes/an4/prepare.py $(if $(AN4),--source $(AN4)) --final --out $(@D)

exp/librispeech/data/train.jsonl.gz: | .venv/train
	@$(BIN)/python recipes/librispeech/prepare.py $(if $(LIBRISPEECH),--source $(LIBRISPEECH)) --out $(@D)

model-an4: exp/an4/final/data/train.jsonl.gz ## train the shipped model an4 again (an hour on one core)
	@$(call FIT,exp/an4/final,recipes/an4/bilstm_ctc.yaml)
	@$(BIN)/speechrnn export exp/an4/final/checkpoints/last.ckpt exp/an4/final/an4.onnx --int8-weights \
	  --card recipes/an4/card.json --check exp/an4/final/data/test.jsonl.gz --overwrite

exp/noise/train.jsonl.gz: | .venv/train
	@test -d "$(NOISE)" || { echo "NOISE= must name a folder of recordings without speech, such as ESC-10's"; exit 1; }
	@mkdir -p $(@D)
	@(echo audio,text; cd "$(NOISE)"; find . -name '*.wav' -o -name '*.ogg' | sort | sed 's/$$/,/') > $(@D)/all.csv
	@$(BIN)/speechrnn prepare $(@D)/all.csv $(@D) --relative-to "$(NOISE)" --speaker-pattern '([^/]+)\.[a-z]+$$' \
	  --split-by-speaker test=0.3

COMMANDS = yes,no,up,down,left,right,on,off,stop,go

exp/words/%.jsonl.gz: exp/%/data/train.jsonl.gz
	@$(BIN)/speechrnn prepare words $< $@ --words $(COMMANDS) --clip-seconds 1

exp/commands_en/data/train.jsonl.gz: exp/noise/train.jsonl.gz exp/words/librispeech.jsonl.gz exp/words/an4.jsonl.gz
	@$(BIN)/python recipes/speech_commands/prepare.py $(if $(SPEECH_COMMANDS),--source $(SPEECH_COMMANDS)) --out $(@D) \
	  --detector --speech exp/librispeech/data/train.jsonl.gz --noise exp/noise/train.jsonl.gz \
	  --more exp/words/librispeech.jsonl.gz --more exp/words/an4.jsonl.gz

model-commands-en: exp/commands_en/data/train.jsonl.gz exp/phones/data/train.jsonl.gz ## train the shipped model commands-en again (an hour and a half on two cores)
	@$(BIN)/speechrnn fit --config recipes/phones/gru_ctc.yaml --data.root exp/phones/data \
	  $$(test -f exp/phones/gru_ctc/checkpoints/last.ckpt && echo --ckpt_path last)
	@$(BIN)/speechrnn fit --config recipes/speech_commands/teacher.yaml --data.root exp/commands_en/data \
	  $$(test -f exp/speech_commands/teacher/checkpoints/last.ckpt && echo --ckpt_path last || echo --init-from phones-en)
	@$(BIN)/speechrnn fit --config recipes/speech_commands/detector.yaml --data.root exp/commands_en/data \
	  --trainer.default_root_dir exp/commands_en \
	  --model.distillation.teacher exp/speech_commands/teacher/checkpoints/last.ckpt \
	  $$(test -f exp/commands_en/checkpoints/last.ckpt && echo --ckpt_path last || echo --init-from exp/phones/gru_ctc/checkpoints/last.ckpt)
	@$(BIN)/speechrnn export exp/commands_en/checkpoints/last.ckpt exp/commands_en/commands-en.onnx \
	  --card recipes/speech_commands/card.json --check exp/commands_en/data/dev.jsonl.gz --overwrite
	@$(BIN)/speechrnn calibrate -m exp/commands_en/commands-en.onnx --keywords "yes,no | know,up,down,left,right | write | rite,on,off,stop,go" \
	  --negatives exp/librispeech/data/train.jsonl.gz --target-fa-per-hour 1

exp/speech_commands_35/data/train.jsonl.gz: | .venv/train
	@$(BIN)/python recipes/speech_commands/prepare.py --classes 35 $(if $(SPEECH_COMMANDS),--source $(SPEECH_COMMANDS)) \
	  --out $(@D)

exp/segments/train.jsonl.gz: exp/librispeech/data/train.jsonl.gz
	@$(BIN)/speechrnn prepare segments $< $@ -m phones-en

exp/synthetic/words.jsonl.gz: | .venv/train
	@$(BIN)/speechrnn prepare synthetic $(WORDS) $@ --clips 6000 --most-lines 3

exp/phones/data/train.jsonl.gz: exp/segments/train.jsonl.gz exp/an4/data/train.jsonl.gz exp/noise/train.jsonl.gz
exp/phones/data/train.jsonl.gz: exp/speech_commands_35/data/train.jsonl.gz $(if $(WORDS),exp/synthetic/words.jsonl.gz)
	@$(BIN)/python recipes/phones/prepare.py $(if $(CMUDICT),--source $(CMUDICT)) --segments exp/segments/train.jsonl.gz --out $(@D) \
	  $(if $(WORDS),--more exp/synthetic/words.jsonl.gz)

model-phones-en: exp/phones/data/train.jsonl.gz ## train a model of English phones again (three hours on two cores)
	@$(call FIT,exp/phones,recipes/phones/bilstm_ctc.yaml)
	@$(BIN)/speechrnn export exp/phones/checkpoints/best.ckpt exp/phones/phones-en.onnx --int8-weights \
	  --card recipes/phones/card.json --pronunciations $(or $(CMUDICT),exp/phones/data/release)/cmudict.dict \
	  --check exp/phones/data/dev.jsonl.gz --overwrite
	@$(BIN)/speechrnn calibrate -m exp/phones/phones-en.onnx --any-keyword --negatives exp/librispeech/data/dev.jsonl.gz \
	  --target-fa-per-hour 1

exp/read_en/data/train.jsonl.gz: exp/phones/data/train.jsonl.gz
	@mkdir -p $(@D)
	@cp exp/phones/data/*.jsonl.gz $(@D)

exp/read_en/phones.arpa: exp/read_en/data/train.jsonl.gz
	@$(BIN)/speechrnn lm build $< -o $@ --order 3

model-read-en: exp/read_en/phones.arpa ## train a model of read English again (five hours on two cores)
	@$(BIN)/speechrnn fit --config recipes/phones/bilstm_ctc.yaml --model.features.normalization utterance \
	  --trainer.default_root_dir exp/read_en/ctc --data.root exp/read_en/data \
	  $$(test -f exp/read_en/ctc/checkpoints/last.ckpt && echo --ckpt_path last)
	@$(BIN)/speechrnn fit --config recipes/read_en/bilstm_crf.yaml --data.root exp/read_en/data \
	  $$(test -f exp/read_en/checkpoints/last.ckpt && echo --ckpt_path last || echo --init-from exp/read_en/ctc/checkpoints/best.ckpt)
	@$(BIN)/speechrnn export exp/read_en/checkpoints/last.ckpt exp/read_en/read-en.onnx --int8-weights \
	  --card recipes/read_en/card.json --pronunciations $(or $(CMUDICT),exp/phones/data/release)/cmudict.dict --overwrite
	@$(BIN)/speechrnn lm tune --lm books-en --manifest exp/librispeech/data/dev.jsonl.gz -m exp/read_en/read-en.onnx \
	  --alphas 1.05,1.2,1.35 --betas=-1,0
	@$(BIN)/speechrnn calibrate -m exp/read_en/read-en.onnx --any-keyword --negatives exp/librispeech/data/dev.jsonl.gz \
	  --target-fa-per-hour 1

exp/books/books.txt.gz: exp/librispeech/data/train.jsonl.gz
	@$(BIN)/python recipes/books/prepare.py $(if $(BOOKS),--source $(BOOKS)) --out $(@D) \
	  --held-out exp/librispeech/data/dev.jsonl.gz --held-out exp/librispeech/data/test.jsonl.gz

exp/books/words.txt: exp/books/books.txt.gz $(if $(CMUDICT),,exp/phones/data/train.jsonl.gz)
	@cut -d' ' -f1 $(or $(CMUDICT),exp/phones/data/release)/cmudict.dict | grep -v '(' > $@

lm-books-en: exp/books/words.txt ## build the language model of books that ships again (half an hour, 14 GB of memory)
	@$(BIN)/speechrnn lm build exp/books/books.txt.gz -o exp/books/small.srlm --order 3 --prune 0 1 1 --vocabulary $< \
	  --most-ngrams 2000000 --overwrite
	@$(BIN)/speechrnn lm convert exp/books/small.srlm exp/books/books-en.srlm.xz --step 0.125 --overwrite

test: .venv/dev lint ## run all tests, the linter and the type checker
	@$(BIN)/python -m pytest

fuzz: .venv/dev ## feed 100,000 damaged files of each kind to the readers (six minutes)
	@SPEECHRNN_FUZZ=100000 $(BIN)/python -m pytest -q tests/test_fuzz.py

lint: .venv/dev ## run the linter and the type checker
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: .venv/dev ## format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.venv/bench: .venv/dev
	@echo "== installing the decoders to compare with"
	@$(UV) --editable '.[train,serve,report,dev,bench]'
	@$(UV) --no-deps pyctcdecode
	@$(UV) kenlm || echo "kenlm cannot be compiled here (it takes cmake and a C++ compiler); going on without"
	@touch $@

bench: .venv/bench ## measure the ratios of benchmarks/, those of decoding if exp/an4/data is there
	@$(BIN)/python benchmarks/run.py

web/node_modules/.made: web/package.json web/package-lock.json
	@command -v npm > /dev/null || { echo "the live page is built with Node.js 20.19 or newer and its npm; install them"; exit 1; }
	@echo "== installing what the live page is built with"
	@cd web && npm ci --silent --ignore-scripts
	@touch $@

web: web/node_modules/.made ## build the live page into speechrnn/web_page (after a change in web/)
	@cd web && npm run --silent build

test-web: .venv/dev web/node_modules/.made browser firefox ## test the live page, in a real browser too
	@cd web && npm run --silent test && CHROMIUM=$$(command -v $(CHROMIUM)) FIREFOX=$$(command -v $(FIREFOX) || true) npm run --silent test:browser

measure-web: .venv/dev web/node_modules/.made browser ## measure the live page: first text, load, parity
	@cd web && CHROMIUM=$$(command -v $(CHROMIUM)) npm run --silent measure

APT = apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq

browser:
	@command -v $(CHROMIUM) > /dev/null || { \
	  echo "== installing Chromium"; \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then $(APT) chromium > /dev/null; \
	  else echo "the live page is tested in Chromium; install it, or name it: make test-web CHROMIUM=/path/to/it"; exit 1; fi; }

firefox:
	@command -v $(FIREFOX) > /dev/null || { \
	  echo "== installing Firefox"; \
	  { [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null && $(APT) firefox-esr > /dev/null; } || \
	  echo "no Firefox here, its test is skipped; install it, or name it: make test-web FIREFOX=/path/to/it"; }

.venv/docs: .venv/base
	@echo "== installing what makes the documentation"
	@$(UV) --editable '.[docs]'
	@touch $@

docs: .venv/docs ## build the documentation into build/site; a link that leads nowhere is an error
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "build/site/index.html"

clean: ## remove .venv and what tools left; experiments in exp/ stay
	@rm -rf web/node_modules web/screenshots web/tests/answers
	@rm -rf .venv dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
