# One entry point for people and for CI. `make help` lists the targets.
SHELL := /bin/bash
PY := .venv/bin/python
# Debian's own Python is built with all optimizations: a quarter faster than most others that a PATH may lead to
PYTHON ?= $(or $(wildcard /usr/bin/python3),python3)
STAMP := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help deps test-deps venv demo demo-failover demo-install test test-cluster test-install test-xen check lint bench bench-deps bench-boot bench-tftp bench-dhcp bench-cluster bench-installs bench-guests simulate fuzz clean demo-guest

.PHONY: fast test-fast

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

deps: ## install the Debian packages that are missing (sudo when not root)
	@packaging/install-deps

venv: $(STAMP)

$(STAMP): pyproject.toml packaging/apt-packages.txt packaging/install-deps
	@packaging/install-deps
	@echo "== python environment in .venv"
	@$(PYTHON) -m venv .venv
	@.venv/bin/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@.venv/bin/pip install --quiet --disable-pip-version-check -e '.[fuzz]' 2>/dev/null \
	  || echo "   (the fuzzer does not install on this Python: its runs are left out)"
	@touch $@

fast: .venv-fast/.ready ## an environment whose packet path is compiled (mypyc): .venv-fast; needs gcc and python3-dev

.venv-fast/.ready: $(STAMP) pyproject.toml packaging/compile_hook.py $(wildcard dhcp/*.py storage/records/*.py)
	@packaging/install-deps apt-packages-fast.txt
	@echo "== compiled build in .venv-fast (a minute or two)"
	@test -x .venv-fast/bin/python || $(PYTHON) -m venv .venv-fast
	@.venv-fast/bin/pip install --quiet --disable-pip-version-check '.[dev]'
	@HATCH_BUILD_HOOK_ENABLE_CUSTOM=1 .venv-fast/bin/pip install --quiet --disable-pip-version-check --force-reinstall --no-deps .
	@.venv-fast/bin/python -P -m twinboot version
	@touch $@

test-fast: fast ## the fast tests of DHCP and of the records, on the compiled modules
	@cd tests && ../.venv-fast/bin/python -P -m pytest -q -o pythonpath= -m "not root and not system" dhcp storage/records

demo: $(STAMP) ## two bare machines, BIOS and UEFI, from power-on to Xen through our own servers
	@$(PY) -m twinboot lab demo

demo-failover: $(STAMP) ## two servers, leases and a boot under way; one server is killed, nobody is left without an answer
	@$(PY) -m twinboot lab failover

demo-guest: $(STAMP) ## guests on two hypervisors: master, clone, addresses, console, live migration
	@packaging/install-deps apt-packages-guest.txt
	@$(PY) -m twinboot lab guest

demo-install: $(STAMP) ## Debian with Xen onto two mirrored disks, each then taken away; timings, verdict (root; ten minutes)
	@mkdir -p build && $(PY) tests/system/debian_install.py image
	@$(PY) tests/system/debian_install.py uefi build/demo-install.json

test-deps: $(STAMP)
	@packaging/install-deps apt-packages-test.txt
	@packaging/install-deps apt-packages-guest.txt

check: test-deps ## lint, types and the fast tests (under two minutes)
	@$(MAKE) --no-print-directory lint
	@$(PY) -m pytest -q -n auto --dist loadfile -m "not system and not root" && echo "make check: all good"

lint: test-deps ## ruff, mypy (strict; tests may leave types out), shellcheck
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/mypy benchmarks
	@git ls-files -z | xargs -0 grep -lZE '^#!(/usr)?/bin/(env )?(ba)?sh' | xargs -0r shellcheck

test: test-deps ## everything: lint, fast tests, real clients, machines that boot
	@$(MAKE) --no-print-directory lint
	@packaging/run-tests && echo "make test: all good"

test-cluster: test-deps ## a pair of servers on real NFS: everything that can break, breaks (root; about six minutes)
	@packaging/run-tests cluster

test-install: test-deps ## Debian and Xen onto two empty disks, then with either gone, or a server (root; half an hour)
	@packaging/run-tests install

test-xen: test-deps ## a guest from master to move on real Xen: two nested hosts, our volumes, our DHCP (root; about four minutes)
	@packaging/run-tests xen

bench: bench-tftp bench-boot bench-dhcp bench-cluster bench-installs bench-guests ## all benchmarks, each beside its peers or its goals

bench-deps: $(STAMP)
	@packaging/install-deps apt-packages-bench.txt

bench-tftp: bench-deps ## TFTP throughput beside tftpd-hpa, atftpd and dnsmasq (root)
	@$(PY) benchmarks/tftp.py

bench-boot: bench-deps ## power-on to dom0 beside the same chain served by dnsmasq (root)
	@$(PY) benchmarks/boot.py

bench-dhcp: bench-deps ## DHCP exchanges beside Kea and ISC dhcpd (root)
	@$(PY) benchmarks/dhcp.py

bench-installs: bench-deps ## a rack that installs at once; rendering and checking for a thousand hosts (root)
	@$(PY) benchmarks/installs.py

bench-guests: bench-deps ## clones, a hundred of them, and a list of a thousand guests
	@$(PY) -P benchmarks/guests.py

bench-cluster: bench-deps test-deps ## two servers on one share: turns, rates, restart, a death, beside Kea's HA pair (root)
	@$(PY) benchmarks/cluster.py

simulate: $(STAMP) ## fresh seeds of the simulated cluster for SECONDS (default 300), on all processors
	@$(PY) -m twinboot lab simulate --seconds $(or $(SECONDS),300)

fuzz: $(STAMP) ## look for inputs that break a parser, SECONDS each (default 60); goes on from the last run
	@.venv/bin/pip install --quiet --disable-pip-version-check -e '.[fuzz]'
	@$(PY) tests/fuzz/run.py --seconds $(or $(SECONDS),60)

clean: ## remove what the targets above made
	@rm -rf .venv .venv-fast .cache build .mypy_cache .ruff_cache .pytest_cache .hypothesis
