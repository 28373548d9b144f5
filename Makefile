# Every verb installs what it needs: a second run downloads nothing. `make help` lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Rust, the eBPF objects and the manifests: what the native module is made of.
NATIVE := $(shell find rust ebpf/common ebpf/prebuilt -type f) Cargo.toml Cargo.lock pyproject.toml
BUILT := $(VENV)/.built
# The machine is shared with whatever else runs on it; one build at a time.
.NOTPARALLEL:
.DEFAULT_GOAL := help

.PHONY: help
help:  ## list the verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: demo
demo: build  ## run the three tools of the tutorial on this machine
	@$(BIN)/python -m demo

.PHONY: build
build: $(BUILT)  ## build the native module into the virtual environment

$(INSTALLED): pyproject.toml ci/venv.sh ci/apt.sh ci/build-packages.txt
	@sh ci/apt.sh ci/build-packages.txt
	@sh ci/venv.sh $(PYTHON) $(VENV)
	@touch $@

$(BUILT): $(INSTALLED) $(NATIVE)
	@PIP_QUIET=1 $(BIN)/maturin develop --release --quiet
	@touch $@

.PHONY: fmt
fmt: $(INSTALLED)  ## format every source file
	cargo fmt --all
	cargo fmt --manifest-path ebpf/programs/Cargo.toml -- --config-path $(CURDIR)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix --quiet .

.PHONY: lint
lint: build  ## check format, style and types
	cargo fmt --all --check
	cargo fmt --manifest-path ebpf/programs/Cargo.toml --check -- --config-path $(CURDIR)
	cargo clippy --workspace --all-targets --locked --quiet -- -D warnings
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest rtrace._rtrace --allowlist ci/stubtest-allowed.txt

.PHONY: test
test: test-unit test-ebpf test-kernel test-notebooks test-wheel test-vm  ## run every test, on this kernel and in VMs

.PHONY: test-unit
test-unit: build  ## tests that need no privilege and no kernel feature
	@sh ci/apt.sh ci/test-packages.txt
	cargo test --workspace --locked --quiet
	$(BIN)/pytest

.PHONY: test-ebpf
test-ebpf: $(INSTALLED)  ## prove that the committed eBPF objects equal a fresh build
	$(BIN)/python ebpf/build.py --check

.PHONY: test-kernel
test-kernel: build  ## tests on the running kernel (root)
	@sh ci/apt.sh ci/test-packages.txt
	$(BIN)/pytest tests/kernel

.PHONY: test-notebooks
test-notebooks: build  ## run the notebooks, and rtrace inside Jupyter kernels (root)
	$(BIN)/pytest tests/notebooks

.PHONY: screenshots
screenshots: build  ## pictures of the lessons in JupyterLab, light and dark, into build/ (needs chromium)
	@sh ci/apt.sh tests/notebooks/apt-packages.txt
	$(BIN)/python -m tests.notebooks.screenshots

.PHONY: test-wheel
test-wheel: wheel  ## install the wheel into a clean environment and use it there
	$(BIN)/pytest tests/wheel

.PHONY: test-vm
test-vm: build  ## the kernel tests again on Debian's kernels, under QEMU
	@sh ci/apt.sh ci/test-packages.txt
	@sh ci/apt.sh tests/vm/apt-packages.txt
	$(BIN)/python -m tests.vm

SECONDS ?= 60
.PHONY: fuzz
fuzz: $(INSTALLED)  ## run every fuzz target for SECONDS=60
	@sh fuzz/run.sh $(SECONDS)

.PHONY: ebpf
ebpf: $(INSTALLED)  ## rebuild the eBPF objects in ebpf/prebuilt
	$(BIN)/python ebpf/build.py

.PHONY: objects
objects: build  ## recompile the C programs in tests/data/objects, in a guest
	@sh ci/apt.sh ci/test-packages.txt
	@sh ci/apt.sh tests/vm/apt-packages.txt
	$(BIN)/python -m tests.vm.objects

.PHONY: wheel
wheel: $(INSTALLED)  ## build a wheel into dist/
	$(BIN)/maturin build --release --quiet --out dist

.PHONY: bench
bench: build  ## measure rtrace beside bcc, bpftrace and libbpf; writes bench/RESULTS.md
	@sh ci/apt.sh bench/apt-packages.txt
	$(BIN)/python -m bench

.PHONY: docs
docs: build  ## build the documentation into build/site; links are checked
	@$(BIN)/mkdocs build --quiet

.PHONY: clean
clean:  ## remove everything that was built
	rm -rf $(VENV) target dist build
