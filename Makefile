# Bare `make` lists the targets. Each is one line that calls a tool of tools/.

PYTHON3 ?= python3
PYTHON  := .venv/bin/python
# Of a board: its serial port, or "virtual"; its name in boards/. Without them the only one that is connected.
PORT    ?=
BOARD   ?=
# What flash is given; without it the newest release is downloaded.
FIRMWARE ?=
URL     ?=
SEED    ?=
RUNS    ?=
MINUTES ?= 10
SECONDS ?= 60
ARGS    ?=
# What `make setup` brings besides what every target needs: names of rigs, or all.
RIGS    ?=
# Another 32-bit MicroPython than the pinned one; pyproject.toml has them.
MICROPYTHON32 ?=
export MICROPYTHON32

# Files go to a worker as a whole: tests of one file may share a folder.
PYTEST   = .venv/bin/pytest -n 2 --dist loadfile
# Tests of the client that take long, or a rig beside MicroPython.
NOT_QUICK = torture over_sockets on_the_chip asyncio deflate receiver
ON_BOARD = $(if $(PORT),--port $(PORT)) $(if $(BOARD),--board $(BOARD))

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup build demo flash deploy serve repl ports doctor board boards board-test dist quick test cover size bench compare autobahn faults peers soak fuzz rigs lint clean
.PHONY: test-packages all-rigs duration pytest size-check autobahn-check

help:
	@awk -F ' *## *' '/^[a-z-]+:.*##/ { sub(/:.*/, "", $$1); printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:  ## install what every target needs, beside the system (RIGS=all: and what only some do)
	@$(PYTHON3) tools/setup.py $(RIGS)

build: setup  ## compile the device code to build/mpy
	@$(PYTHON) tools/build.py --arch x64 --arch x86

demo: build  ## run the client on real MicroPython, or on a board (PORT=...), against a local server (or URL=ws://...)
	@$(PYTHON) tools/demo.py $(ON_BOARD) $(URL)

flash: setup  ## write MicroPython to a board (FIRMWARE=... or the newest release)
	@$(PYTHON) tools/flash.py $(ON_BOARD) $(ARGS) $(FIRMWARE)

deploy: setup  ## compile the client for a board and copy what has changed (ARGS="--wifi --example echo")
	@$(PYTHON) tools/deploy.py $(ON_BOARD) $(ARGS)

serve: setup  ## run a WebSocket server to try programs with, ws and wss, until Ctrl-C
	@$(PYTHON) tools/serve.py $(ARGS)

repl: setup  ## talk to MicroPython on a board; Ctrl-] ends
	@$(PYTHON) tools/repl.py $(ON_BOARD) $(ARGS)

ports: setup  ## list the serial ports, and what is behind them
	@$(PYTHON) tools/ports.py $(ARGS)

doctor: setup  ## say what is connected, what it runs, what is missing on this computer
	@$(PYTHON) tools/doctor.py $(ON_BOARD) $(ARGS)

board: setup  ## run a virtual board until Ctrl-C; the others take it as PORT=virtual
	@$(PYTHON) tools/board.py $(if $(BOARD),--board $(BOARD)) $(ARGS)

boards: setup  ## list the boards that are known, or the firmware for one (ARGS=ESP32_GENERIC)
	@$(PYTHON) tools/boards.py $(ARGS)

board-test: setup  ## test the client on a board, and tell whether the client or the network is at fault
	@$(PYTHON) tools/board_test.py $(ON_BOARD) $(ARGS)

dist: setup  ## build a release, the same bytes each time
	@$(PYTHON) tools/dist.py $(ARGS)

quick: build test-packages  ## run the tests of the client on the three interpreters, but for the long ones and old firmware
	@$(PYTEST) host_tests/client -k 'not (virtual-esp8266 or 1.22 or 1.23 or 1.24 or 1.25 or 1.27)' $(foreach part,$(NOT_QUICK),--ignore-glob='*$(part)*')

test: duration all-rigs build pytest size-check autobahn-check rigs  ## run every test, the memory limits and the main Autobahn sections

cover: test-packages  ## check that the tests of each device module cover it
	@$(PYTHON) tools/cover.py $(ARGS)

size: build  ## measure memory use against the limits (ARGS=--write: and put the table into docs/costs.md)
	@$(PYTHON) tools/size.py $(ARGS)

bench: build  ## measure speed against raw sockets (ARGS=--write: and put the table into docs/costs.md)
	@$(PYTHON) tools/bench.py $(ARGS)

compare: build  ## measure this client beside others of PyPI (ARGS=--write: into docs/comparison.md and README.md)
	@$(PYTHON) tools/compare.py $(ARGS)

autobahn: build  ## run the Autobahn test suite on every interpreter (some minutes)
	@$(PYTHON) tools/autobahn.py $(ARGS)

faults: build  ## play rounds behind a proxy that corrupts, stalls and resets (SEED=... RUNS=...)
	@$(PYTHON) tools/faults.py $(if $(SEED),--seed $(SEED)) $(if $(RUNS),--runs $(RUNS)) $(ARGS)

soak: build  ## run the client for MINUTES=10 against a server that ends every connection
	@$(PYTHON) tools/soak.py --minutes $(MINUTES) $(ARGS)

fuzz: setup  ## look for SECONDS=60 for bytes that the client cannot take
	@$(PYTHON) tools/fuzz.py --seconds $(SECONDS) $(ARGS)

peers: build  ## talk to real servers, plain and behind TLS (ARGS=--write: and put the table into docs/peers.md)
	@$(PYTHON) tools/peers.py $(ARGS)

rigs:  ## list the interpreters, servers and packages that are here, and what is left out
	@$(PYTHON) tools/rigs.py

lint: test-packages  ## check the style of the Python files, and their format
	@.venv/bin/ruff check && .venv/bin/ruff format --check

clean:  ## remove what was built; .venv and .rigs stay
	@rm -rf build .pytest_cache .hypothesis .ruff_cache

# Steps of `make test`.

duration:
	@echo "make test: some 30 minutes on two slow cores, and two more on the first run, which installs what is missing"

test-packages: setup
	@$(PYTHON3) tools/setup.py test-packages

all-rigs: setup
	@$(PYTHON3) tools/setup.py all

pytest: build
	@$(PYTEST) || { [ $$? = 1 ] && echo "make test: once more what has failed, alone: the computer may have been busy" && .venv/bin/pytest --last-failed --last-failed-no-failures none; }

size-check: build
	@$(PYTHON) tools/size.py --where-possible

autobahn-check: build
	@$(PYTHON) tools/autobahn.py --on micropython32,micropython64,virtual-esp8266 --where-possible --cases quick
