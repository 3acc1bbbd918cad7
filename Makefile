PYTHON := .venv/bin/python
# The interpreter that makes the virtual environment; everything else runs in .venv.
SYSTEM_PYTHON ?= python3
TESTS_FAST := tests/unit tests/scripts
PARTS := $(SYSTEM_PYTHON) -m tests.support.parts
# tests/support/scheduling.py distributes them. The lab's tests come first, because they take longest.
SIDE_BY_SIDE := -n auto --maxprocesses 8

.DEFAULT_GOAL := help
.PHONY: help venv venv-only toolchain up deploy down status check format test test-fast test-unit test-lab test-soak rehearse-pr bench-fanout bench-publish bench-serve lock

help:  ## list these commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

venv:  ## preflight, then what the host lacks and the virtual environment
	@$(SYSTEM_PYTHON) -m lab.bootstrap
	@$(PYTHON) -m lab.toolchain.workflows --only-build

up: venv  ## everything: toolchain, lab, `pulumi up` of the dev stack; ends with the page it served
	@$(PYTHON) -m lab up
	@$(PYTHON) -m lab deploy

deploy:  ## only `pulumi up` of the dev stack in the running lab, and the report
	@$(PYTHON) -m lab deploy

down:  ## remove everything but the built toolchain
	@$(SYSTEM_PYTHON) -m lab.bootstrap --only-venv && $(PYTHON) -m lab down

status:  ## what runs in the lab
	@$(PYTHON) -m lab status

toolchain:  ## only what the lab is built of; takes 10 to 25 minutes on a new machine, then nothing
	@$(PYTHON) -m lab.toolchain

venv-only:  ## only the virtual environment, on a host that is not to have a lab
	@$(SYSTEM_PYTHON) -m lab.bootstrap --only-venv
	@$(PYTHON) -m lab.toolchain.workflows --only-build

check:  ## linters and types: ruff, mypy --strict, shellcheck, actionlint, zizmor (no network, no lab)
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy .
	.venv/bin/shellcheck $$(git ls-files '*.sh')
	$(PYTHON) -m lab.toolchain.workflows
	.venv/bin/zizmor --quiet --offline --no-progress --persona pedantic .github

format:  ## let ruff rewrite what it can
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

# `make` and not the variable of that name, with which `make -n test` would run all of it.
test:  ## everything that tests it, the lab included; ends with a table of what each part took
	@GLUSTERFARM_PARTS=$$(mktemp) && export GLUSTERFARM_PARTS && trap 'rm -f "$$GLUSTERFARM_PARTS"' EXIT; \
	$(PARTS) run venv make --no-print-directory venv && \
	$(PARTS) run check make --no-print-directory check && \
	$(PARTS) run toolchain make --no-print-directory toolchain && \
	  $(PYTHON) -m pytest $(SIDE_BY_SIDE) tests/lab tests/plugins tests/toolchain $(TESTS_FAST); \
	status=$$?; $(PARTS) table; exit $$status

test-lab: venv toolchain  ## the part that needs the lab or its toolchain
	$(PYTHON) -m pytest $(SIDE_BY_SIDE) tests/lab tests/plugins tests/toolchain

test-fast: venv check  ## the part that needs no lab
	$(PYTHON) -m pytest $(SIDE_BY_SIDE) $(TESTS_FAST)

test-unit: venv-only check  ## the same on a host that is not to have a lab
	$(PYTHON) -m pytest $(SIDE_BY_SIDE) $(TESTS_FAST)

test-soak: venv  ## every case that `make test` has examples of, then faults and kills at random moments (an hour)
	@GLUSTERFARM_EVERY_CASE=1 $(PYTHON) -m pytest $(SIDE_BY_SIDE) tests/scripts tests/unit/publisher; cases=$$?; \
	  $(PYTHON) -m pytest tests/soak -s && exit $$cases

rehearse-pr: venv  ## a pull request in the lab, with its comment to read: previewed, applied, looked after
	$(PYTHON) -m pytest tests/lab/test_9_rehearsal.py -s

bench-fanout:  ## how `pulumi up` of 100 minions compares with 100 bare commands (needs the lab; 20 minutes)
	$(PYTHON) -m bench.fanout

bench-publish:  ## how long a publish takes beside rsync, tar and SFTP, without and with 20 ms of latency (needs the lab; 1 hour)
	$(PYTHON) -m bench.publish

bench-serve:  ## how fast pods serve from the volume beside a local directory (needs the lab and wrk; 6 minutes)
	$(PYTHON) -m bench.serve

lock:  ## renew the hashed locks from requirements/*.in
	cd requirements && for lock in runtime:../requirements.txt dev:dev.txt ansible:ansible.txt peers:peers.txt go:go.txt; do \
	  ../.venv/bin/uv pip compile --quiet --generate-hashes --only-binary :all: --python-version 3.11 \
	    --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	    --output-file "$${lock#*:}" "$${lock%%:*}.in" || exit 1; done
