# Everything a contributor runs. `make help` lists the targets from their `##` comments.
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
DEMO_ARGS ?=
TEST_ARGS ?=
BENCH_ARGS ?=
CONFORMANCE_ARGS ?=
LOAD_ARGS ?=
SOAK_ARGS ?=
export AGAIN ?= 1
CHAOS_ARGS ?=
MINUTES ?= 10
UP_ARGS ?=
CDN_ARGS ?=
SOURCES := hotpath coldpath infra edge conformance examples tests benchmarks

# Where an image sets it, every process that a test or the stack starts would compile all it imports.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo up doctor test load soak chaos fuzz-api check lint format bench-ingest bench-fanout bench-whep bench-hls bench-cold bench-isolation bench-control cdn conformance docs lock clean bootstrap bootstrap-test player

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: bootstrap player ## One event end to end, with a report; DEMO_ARGS="--seconds 30 --json FILE --keep"
	$(BIN)/livepath demo $(DEMO_ARGS)

up: bootstrap player ## Start the whole stack here; UP_ARGS="--host 0.0.0.0 --port-base 8080"
	$(BIN)/livepath up $(UP_ARGS)

doctor: bootstrap ## Say what this machine lacks and how to fix it
	$(BIN)/livepath doctor

# Most tests wait more than they work, so four run side by side, the long ones first, and two that
# start a stack, a browser or another peer. Tests that count packets or milliseconds have at most one
# beside them, which waits for nearly all of its time, and players that play in low-latency mode have
# the machine to themselves. What fails has a second try, by itself, and is named: scripts/steady.
test: bootstrap-test player ## All tests; TEST_ARGS="tests/unit -x" for some of them
ifeq ($(TEST_ARGS),)
	scripts/steady -n 4 --dist loadfile --no-loadscope-reorder -m "not alone" tests/integration tests/unit
	scripts/steady -n 2 --dist loadfile --no-loadscope-reorder -m "not alone" tests/e2e tests/interop
	scripts/steady -n 2 --dist loadfile --no-loadscope-reorder -m alone tests/interop tests/integration
	scripts/steady -m alone tests/e2e
else
	$(BIN)/pytest $(TEST_ARGS)
endif

load: bootstrap-test ## 500 viewers for 10 minutes, overload, bad networks; LOAD_ARGS="--viewers 200 --minutes 2"
	$(BIN)/pytest tests/load $(LOAD_ARGS)

soak: bootstrap-test player ## A ladder, 300 LL-HLS players and the draft's rules for MINUTES=30, browsers, outages; SOAK_ARGS="--clients 100 --json FILE"
	$(BIN)/pytest tests/soak tests/e2e/test_players.py tests/e2e/test_outages.py \
		--minutes $(MINUTES) --players-seconds 300 --outage-seconds 60 $(SOAK_ARGS)

chaos: bootstrap-test ## Workers, broker, S3, database and dispatcher fail by a seed, nothing is lost; CHAOS_ARGS="--seconds 600 --jobs 200 --seed N"
	$(BIN)/pytest tests/chaos $(CHAOS_ARGS)

fuzz-api: bootstrap-test ## The control API against its own description, two tenants; FUZZ_ARGS="--examples 200 --fuzz-seed N"
	$(BIN)/pytest -s tests/contract $(FUZZ_ARGS)

check: lint ## Format, lint, types, import contracts and unit tests, in about a minute
	$(BIN)/pytest -q -n 4 --dist loadfile tests/unit

lint: bootstrap-test ## The part of check that runs no code: format, lint, types, import contracts
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports

format: bootstrap-test ## Format the sources and apply safe fixes
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

bench-ingest: bootstrap ## CPU per second of stream for SRT, demux and packaging
	$(BIN)/python -m benchmarks.ingest

bench-fanout: bootstrap-test ## CPU and memory per viewer beside the floor, aiortc and Janus; BENCH_ARGS="--viewers 300 --json FILE"
	$(BIN)/python -m benchmarks.fanout $(BENCH_ARGS)

bench-whep: bootstrap-test ## WHEP's delay beside a bare SRT reader's, and joins; BENCH_ARGS="--joins 50 --json FILE"
	$(BIN)/python -m benchmarks.whep_latency $(BENCH_ARGS)

bench-hls: bootstrap-test ## CPU per LL-HLS request beside a floor, delay, and the same behind Varnish; BENCH_ARGS="--clients 200"
	$(BIN)/python -m benchmarks.hls $(BENCH_ARGS)

bench-cold: bootstrap-test ## Archive, pictures, clips beside plain ffmpeg, and the platform's share; BENCH_ARGS="--only storyboard --json FILE"
	$(BIN)/python -m benchmarks.cold $(BENCH_ARGS)

bench-isolation: bootstrap-test ## Viewers' delay with the cold path idle and saturated, in pairs; BENCH_ARGS="--pairs 2 --seconds 20 --down"
	$(BIN)/python -m benchmarks.isolation $(BENCH_ARGS)

bench-control: bootstrap-test ## Event read and token issue on SQLite and Postgres, and a token's check; BENCH_ARGS="--seconds 2 --json FILE"
	$(BIN)/python -m benchmarks.control $(BENCH_ARGS)

cdn: bootstrap ## Varnish as the CDN before a running origin; CDN_ARGS="--origin http://127.0.0.1:8081 --port 8090"
	$(BIN)/python -m edge $(CDN_ARGS)

conformance: bootstrap ## Check any LL-HLS server against the draft; URL=http://…/index.m3u8 CONFORMANCE_ARGS="--seconds 60"
	@test -n "$(URL)" || { echo "usage: make conformance URL=http://HOST/…/index.m3u8" >&2; exit 2; }
	$(BIN)/python -m conformance "$(URL)" $(CONFORMANCE_ARGS)

docs: bootstrap ## Write docs/configuration.md from the settings models, docs/openapi.json from the routes
	$(BIN)/python -m infra.settings_docs docs/configuration.md
	$(BIN)/python -m infra.control.openapi_docs docs/openapi.json

LOCK = $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --no-header pyproject.toml

lock: bootstrap-test ## Pin every dependency anew, with hashes
	$(LOCK) --upgrade --extra dev --extra captions -o requirements/dev.lock
	$(LOCK) -c requirements/dev.lock -o requirements/runtime.lock
	$(LOCK) -c requirements/dev.lock --extra captions -o requirements/captions.lock

clean: ## Remove the virtual environment, build results and caches
	rm -rf $(VENV) build dist *.egg-info infra/web/static/vendor
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -f hotpath/ingest/_srt.c hotpath/ingest/_srt.*.so hotpath/fanout/_kernel.c hotpath/fanout/_kernel.*.so

bootstrap:
	@scripts/bootstrap

bootstrap-test:
	@scripts/bootstrap --test

player: bootstrap
	@$(BIN)/python -m infra.web.build
