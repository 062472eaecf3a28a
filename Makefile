# Everything runs in .venv, which this file makes from requirements.lock with nothing but a Python 3.11, 3.12 or 3.13.

UV_VERSION := 0.13.8
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PARLEY := $(BIN)/parley
BI_VENV := .venv-bi
BI_READY := $(BI_VENV)/.ready
BI := dashboards/superset/requirements-bi
WITH_ENV = variables="$$($(PARLEY) env)" && eval "$$variables" &&

# where it is set, every process compiles dbt's and Dagster's thousands of modules again, for seconds
unexport PYTHONDONTWRITEBYTECODE

SIZE ?= 20000
DEMO := $(or $(PARLEY_HOME),.parley)/demo-$(SIZE).ndjson.gz

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test test-fast test-bi test-ui ui bi serve metabase docs lint lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo '  make run EVENTS="a.ndjson.gz b.parquet" FORMAT=bot TENANT=my-shop   your own files'
	@echo '  make run SIZE=1000000                                               a bigger demo'
	@echo '  DATABASE_URL=postgresql://user@host/database make run               your own Postgres, 16 to 18'

run: $(READY) $(if $(EVENTS),,$(DEMO)) ## land events (EVENTS=…, else a demo), build and check every table, show what came of it
	$(PARLEY) load $(or $(EVENTS),$(DEMO)) $(if $(or $(FORMAT),$(DIALECT)),--format $(or $(FORMAT),$(DIALECT))) $(if $(TENANT),--tenant $(TENANT))
	$(PARLEY) build
	@$(PARLEY) summary

test: $(READY) ## every test, on a Postgres of its own (ARGS="-k landing" for some of them)
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

test-fast: $(READY) ## what to run while working: under two minutes (ARGS="-k landing")
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile -m 'not slow and not bi and not ui' tests/unit $(ARGS)

test-bi: $(READY) $(BI_READY) ## the dashboards in a browser: Superset on a built warehouse (screenshots/)
	@mkdir -p screenshots
	SCREENSHOTS=screenshots $(BIN)/pytest -m bi tests/e2e $(ARGS)

test-ui: $(READY) ## Dagster in a browser: backfills launched and watched, faults on purpose
	$(BIN)/pytest -m ui tests/e2e $(ARGS)

ui: $(READY) ## Dagster on localhost:3000 (PORT=…): schedules, partitions, lineage, checks
	$(BIN)/python -m dagster_project.serve $(if $(PORT),--port $(PORT))

bi: $(READY) $(BI_READY) ## dashboards: Superset in an environment of its own, on localhost:8088 (PORT=…)
	$(BIN)/python -m dashboards.superset.serve $(if $(PORT),--port $(PORT))

serve: $(READY) ## the HTTP server on localhost:8090 (PORT=…, PROCESSES=…): events in, live numbers
	$(PARLEY) serve $(if $(PORT),--port $(PORT)) $(if $(PROCESSES),--processes $(PROCESSES))

metabase: $(READY) ## the same dashboards in your own Metabase (METABASE_URL=…, METABASE_API_KEY=…)
	$(BIN)/python -m dashboards.metabase.provision

docs: $(READY) ## the tables and their lineage on localhost:8080 (PORT=…), and as one file: target/static_index.html
	$(WITH_ENV) $(BIN)/dbt --quiet docs generate --static
	$(BIN)/python -m parley.serving.docs target/index.html target/static_index.html
	$(WITH_ENV) $(BIN)/dbt docs serve --no-browser --port $(or $(PORT),8080)

lint: $(READY) ## style and types, of Python and of SQL
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint models

lock: $(READY) ## new pins of everything, for every Python that Parley runs on
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --group dev pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    $(BI).in -o $(BI).lock

clean: ## stop the embedded Postgres; delete the environment and everything built, but no data (.parley)
	if [ -x $(PARLEY) ]; then $(PARLEY) stop; fi
	rm -rf $(VENV) $(BI_VENV) target logs dist .dagster .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info

$(DEMO): | $(READY)
	@mkdir -p $(@D)
	$(PARLEY) demo $@ --size $(SIZE)

$(READY): requirements.lock pyproject.toml
	@[ -x $(BIN)/python ] || { \
	    for python in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
	        if "$$python" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; \
	        then echo "Making $(VENV) with $$("$$python" --version)"; exec "$$python" -m venv $(VENV); fi; \
	    done; \
	    echo 'Parley needs Python 3.11, 3.12 or 3.13 with its venv module (Debian: python3-venv), and finds none here:' >&2; \
	    echo 'install one, or say where it is: make PYTHON=/path/to/python3 …' >&2; \
	    exit 1; \
	}
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip sync --quiet --python $(BIN)/python requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-build-isolation --no-deps --editable .
	@touch $@

$(BI_READY): $(BI).lock | $(READY)
	@[ -x $(BI_VENV)/bin/python ] || { \
	    echo 'Making $(BI_VENV) for Superset, a gigabyte or so'; \
	    PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/uv venv --quiet --no-python-downloads --python '>=3.11,<3.13' $(BI_VENV); \
	}
	$(BIN)/uv pip sync --quiet --python $(BI_VENV)/bin/python $(BI).lock
	@touch $@
