# The two commands of the README, and what a developer types. Everything is in scripts/.
.PHONY: demo test setup build lint format doc benchmark
.DEFAULT_GOAL := build

setup:
	@bash scripts/setup

build: setup
	@scripts/build all

# Installs what is missing, builds, trains a small network on handwritten digits in 4 bits, prints a table.
demo: build
	@scripts/demo

# Installs what is missing, builds, runs every test.
test: setup
	@scripts/test

# Speed on this machine against PyTorch and the machine's limits; QUICK=1: minutes instead of hours.
benchmark: setup
	@build/venv/bin/python benchmark/run.py --setup $(if $(QUICK),--quick)

lint:
	@scripts/format --check

format:
	@scripts/format

doc: setup
	@scripts/build nibble-doc
