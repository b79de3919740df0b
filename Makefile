# kithkin: every command sets up what it needs. `make` alone tells what there is.

PYTHON ?= python3
VENV   ?= .venv
# Processes that share the tests; 0: none but one, for a debugger.
JOBS   ?= auto
# First seed of the simulator.
SEED   ?= 0
# Where the evaluation's data and tools are.
SHARED ?= $(or $(KITHKIN_SHARED),../shared)

BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
LOCKS  := requirements-uv.lock requirements-dev.lock

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo compose digests test lint types layers site simulate drill packs quality bench wheel sbom lock clean

help: ## what there is
	@echo "kithkin learns, continuously and from real life, who is who in a household."
	@echo
	@echo "Start here:  make demo    then open the report whose name it prints"
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "Needs Python 3.11 or newer (PYTHON=$(PYTHON)), git and make; all else goes into $(VENV)/."

setup: $(READY) ## install everything into .venv, from hashes; does nothing when nothing changed
	@echo "Ready: $(BIN)/kithkin --help"

# Three steps: an empty environment; uv, locked by hash; everything else by uv, locked by hash.
$(READY): pyproject.toml stream/__init__.py $(LOCKS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "kithkin needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>&1 | tail -n 1)."; \
	  echo "Name another: make setup PYTHON=python3.12"; exit 1; } >&2
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) >/dev/null 2>&1 \
	  || { rm -rf $(VENV); $(PYTHON) -m venv --without-pip $(VENV) >/dev/null 2>&1; } || { rm -rf $(VENV); \
	  echo "$(PYTHON) cannot make a virtual environment: its venv module is missing (Debian, Ubuntu: apt install python3-venv)."; \
	  exit 1; } >&2
	@if $(BIN)/python -m pip --version >/dev/null 2>&1; then pip="$(BIN)/python -m pip"; \
	  elif $(PYTHON) -m pip --version >/dev/null 2>&1; then pip="$(PYTHON) -m pip --python $(BIN)/python"; \
	  else rm -rf $(VENV); echo "$(PYTHON) has neither ensurepip nor pip (Debian, Ubuntu: apt install python3-venv)." >&2; exit 1; fi; \
	$$pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-uv.lock
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes $(LOCKS)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@$(BIN)/python -c "import stream.home.step"
	@touch $@

demo: $(READY) ## simulate a neighbourhood, learn from it live, write an HTML report (under a minute)
	@$(BIN)/kithkin demo

compose: .env ## a whole cluster in Docker, with a simulated neighbourhood; its passwords are made at the first time
	@docker compose --profile load up --build

# The passwords of Kafka and Redis in Docker. Those that are there stay.
.env:
	@umask 077 && $(PYTHON) -c 'import secrets; \
	  [print(f"KITHKIN_{server}__PASSWORD={secrets.token_urlsafe(24)}") for server in ("KAFKA", "REDIS")]' > $@
	@echo "The passwords of Kafka and Redis are in $@"

# "NAME@sha256:… # TAG" in docker-compose.yml, "NAME:TAG@sha256:…" in the Dockerfile.
PINNED = sed -nE 's|.*[ =]([a-z/]+)(:([^@ ]+))?@(sha256:[0-9a-f]{64})( \# (.+))?$$|\1:\3\6 \4|p' docker-compose.yml Dockerfile

digests: ## whether the tags of the pinned images stand for other images today (asks their registry by docker)
	@$(PINNED) | { moved=0; while read -r image pinned; do \
	  now=$$(docker buildx imagetools inspect "$$image" --format '{{.Manifest.Digest}}') || exit 2; \
	  if [ "$$now" = "$$pinned" ]; then echo "$$image is what is pinned"; else echo "$$image is $$now now, pinned is $$pinned"; moved=1; fi; \
	done; exit $$moved; }

test: export OPENBLAS_NUM_THREADS = 1  # as many tests as cores run side by side: threads within one only stand in the others' way
test: export PYTHONPYCACHEPREFIX = $(CURDIR)/build/bytecode  # as tests/conftest.py says, from the first process on
test: export PYTHONDONTWRITEBYTECODE =
test: $(READY) ## all tests
	@$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

lint: $(READY) ## style of the code (ruff)
	@$(BIN)/ruff check

types: $(READY) ## types of stream, learners and the examples (mypy --strict)
	@$(BIN)/mypy
	@$(BIN)/mypy examples/*.py

layers: $(READY) ## who may import whom (import-linter)
	@$(BIN)/lint-imports

site: $(READY) ## the docs as a site, in build/site; whatever leads nowhere is an error
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet -f docs/site/mkdocs.yml
	@echo "Open build/site/index.html"

simulate: $(READY) ## 1,000 histories full of faults; SEED=17 starts elsewhere, a failure prints its seed
	@$(BIN)/python -m tests.support.simulator --histories 1000 --seed $(SEED)

drill: $(READY) ## strike real workers on a real Kafka and Redis, about 15 minutes; DRILL="storm --broker kafka" for a part
	@$(BIN)/python -m tests.drill $(DRILL)

packs: $(READY) ## fit the packs of the package anew, and their cards, from SHARED=../shared
	@for recipe in learners/packs/*.toml; do $(BIN)/kithkin fit $$recipe --data $(SHARED)/data || exit; done

quality: $(READY) ## how well it recognises people not fitted on, into docs/quality.md; about 15 minutes; SHARED=../shared
	@KITHKIN_SHARED=$(SHARED) $(BIN)/python -m bench.quality

bench: $(READY) ## how fast and how small it is
	@$(BIN)/python -m bench

wheel: $(READY) ## the wheel, in dist: pip install 'dist/kithkin-….whl[cluster,fleet]'
	@$(BIN)/uv build --quiet --wheel --python $(BIN)/python --no-build-isolation --out-dir dist
	@ls -t dist/*.whl | head -n 1

sbom: $(READY) ## what the image is made of, with versions and hashes: a CycloneDX bill of materials, build/sbom.json
	@mkdir -p build
	@PYTHONWARNINGS=ignore $(BIN)/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml --mc-type application \
	  --output-reproducible --spec-version 1.6 --output-format JSON --output-file build/sbom.json
	@echo "build/sbom.json"

lock: ## choose newest versions of all dependencies (needs .venv/bin/uv: run `make setup` once)
	@$(COMPILE) --extra dev pyproject.toml --output-file requirements-dev.lock
	@$(COMPILE) --constraint requirements-dev.lock --extra cluster --extra fleet --extra otel --extra service pyproject.toml --output-file requirements.lock
	@echo uv | $(COMPILE) - --output-file requirements-uv.lock
	@$(COMPILE) --all-extras pyproject.toml >/dev/null # the extras still fit together
	@git diff --stat -- '*.lock'

# One lock for Python 3.11 and newer on every platform, and without a word of where packages come from.
COMPILE = $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock"

clean: ## remove what was made, .venv included
	rm -rf $(VENV) build dist out kithkin-demo.html .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
