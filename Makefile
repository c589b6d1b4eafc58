# `make help` prints the commands. Settings come from the environment or the command line: make run PORT=8080

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/installed
FLASK := $(BIN)/flask --app wsgi
TYPED = $(wildcard practice web portal admin staff wsgi.py)

.DEFAULT_GOAL := help
.PHONY: help run test check fix demo-reset bench records pictures mutants faults soak scan

help: ## this list
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /|/' | while IFS='|' read -r name what; do printf 'make %-12s %s\n' "$$name" "$$what"; done

# Newer than both files: nothing is installed, no network is needed.
$(READY): setup.cfg constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo 'Python 3.11 or newer is needed; name one with: make PYTHON=python3.12'; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test,dev]'
	@touch $@

# Both run until one ends or Ctrl-C; the other is ended with it, and 1 is returned unless it was asked for.
run: $(READY) ## the portal with its worker on http://127.0.0.1:8000, as a demo unless PORTAL_MODE says otherwise
	@export PORTAL_MODE="$${PORTAL_MODE:-demo}" PORT="$${PORT:-8000}" DATA_DIR="$${DATA_DIR:-./var}"; \
	mkdir -p "$$DATA_DIR" && $(FLASK) prepare || exit 1; \
	$(BIN)/gunicorn --workers 2 --bind "127.0.0.1:$$PORT" --no-control-socket --header-map drop \
		--logger-class web.server_log.ServerLogger \
		--forwarded-allow-ips "$${PROXY_ADDRESS:-}" 'wsgi:create_app()' & web=$$!; \
	$(FLASK) worker & worker=$$!; \
	asked=; trap 'asked=yes' INT TERM HUP; \
	while [ -z "$$asked" ] && kill -0 $$web && kill -0 $$worker; do sleep 0.5; done 2>/dev/null; \
	kill -0 $$web 2>/dev/null || dead="web server"; kill -0 $$worker 2>/dev/null || dead="worker"; \
	{ kill $$web $$worker; wait $$web; wait $$worker; } 2>/dev/null; \
	[ -n "$$asked" ] || { echo "The $$dead has ended, so the other was ended too." >&2; exit 1; }

test: $(READY) ## all tests on SQLite, on PostgreSQL where one answers, in a browser where one is found; ARGS="-k routing" for some
	@$(BIN)/python -m tests.prepare $(ARGS)

check: $(READY) ## format, lint, types, house rules; changes nothing
	@failed=; \
	$(BIN)/ruff format --check . || failed=yes; \
	$(BIN)/ruff check . || failed=yes; \
	$(BIN)/mypy $(TYPED) || failed=yes; \
	$(BIN)/python -m tests.house || failed=yes; \
	[ -z "$$failed" ]

fix: $(READY) ## format, and mend what the linter can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

demo-reset: $(READY) ## the demo practice as on the first day; refuses a database without the demo mark
	@PORTAL_MODE="$${PORTAL_MODE:-demo}" $(FLASK) demo-reset

bench: $(READY) ## how fast the pages are, into docs/performance.md (about 20 minutes)
	@$(BIN)/python -m bench

records: $(READY) ## how the sample documents of RECORDS=../shared/data are read, into docs/records.md (about 10 seconds)
	@$(BIN)/python -m bench.records "$${RECORDS:-../shared/data}"

pictures: $(READY) ## the README's pictures, into docs/pictures (about a minute)
	@$(BIN)/python -m tests.pictures

faults: $(READY) ## what goes wrong by itself, made for real on both databases, into docs/reliability.md (20 minutes or more)
	@$(BIN)/python -m tests.faults

soak: $(READY) ## the whole practice at work for MINUTES=20 on each database, its ledger into docs/soak.md (about an hour)
	@$(BIN)/python -m tests.soak --minutes "$${MINUTES:-20}"

mutants: $(READY) ## takes each condition of routing and permissions out alone: a test must fail (about 8 minutes)
	@$(BIN)/python -m tests.mutants

scan: $(READY) ## wapiti and sqlmap as each role, timings, raw sockets, the tests of each attack, into docs/security.md (about 20 minutes)
	@$(BIN)/python -m tests.scan
