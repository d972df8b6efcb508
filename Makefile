# SPDX-License-Identifier: GPL-2.0-only
#
# `make check` needs Swift and make, and nothing else. Its standard output is one TAP stream; what the build
# has to say goes to standard error.

MAKEFLAGS += --no-print-directory --no-builtin-rules

SWIFT ?= swift
PTKIT := .build/release/ptkit
SOURCES := Package.swift $(shell find Sources)

# Debian packages that the kit's own tests need beyond the base image.
DEBIAN_PACKAGES := gcc libc6-dev binutils xz-utils rsync cpio busybox-static pkg-config libkmod-dev libkdumpfile-dev

# C libraries that are used where pkg-config finds them. Looked up anew where it is used, for `make deps` may install them.
space := $(subst ,, )
comma := ,
TRAITS = $(if $(shell pkg-config --exists libkmod 2>/dev/null && echo yes),Kmod) \
  $(if $(shell pkg-config --exists libkdumpfile 2>/dev/null && echo yes),Kdumpfile)
TRAIT_OPTIONS = $(if $(strip $(TRAITS)),--traits $(subst $(space),$(comma),$(strip $(TRAITS))))

# What `make check ARGS=…` and `make bench ARGS=…` pass on to ptkit.
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help deps build check check-kernel check-vm test bench compare-long tsan dist dist-check lint clean

help:
	@echo 'make check   build, then run the regression suite on the simulator; prints TAP'
	@echo 'make check KSRC=FOLDER [FORMATS="vtdss amdv1"]  the same on the page-table code of a Linux tree'
	@echo '     SPEC=FILE GOLDEN=FOLDER  and with the specification and the golden vectors of a new format (docs/new-format.md)'
	@echo 'make check-kernel  the tests of the kernel that runs here (docs/kernel.md); ARGS="--load --bind ADDRESS" for more of them'
	@echo 'make check-vm [ROW="intel-ss amdv1"] [ROWS=all]  boot real kernels in virtual machines, and test them (docs/lab.md)'
	@echo '     KERNEL=bzImage MODULES=FOLDER  with a kernel of your own'
	@echo 'make build   build .build/release/ptkit'
	@echo 'make test    run the tests of the kit itself; uses deps, and a kernel tree: $$PTKIT_KSRC, or what it fetches (none: PTKIT_KSRC=)'
	@echo 'make bench   measure the generic algorithms; prints a table'
	@echo 'make bench KSRC=FOLDER  the same beside the page-table code of a Linux tree, built by gcc and by clang'
	@echo 'make compare-long  compare the generic algorithms with both other sides for as long as asked; prints TAP'
	@echo 'make compare-long KSRC=FOLDER [FORMATS="vtdss amdv1"]  search the page-table code of a Linux tree so'
	@echo 'make tsan    run the concurrency tests under ThreadSanitizer; prints TAP'
	@echo 'make dist    make the tarball for machines without Swift: static ptkit, selftests, golden files; prints its path'
	@echo 'make dist-check  unpack it in a chroot, in a kernel tree and in a virtual machine, and compare with make check'
	@echo 'make deps    install missing Debian packages (as root), or print the command'
	@echo 'make lint    check the format of the sources and their licence lines'
	@echo 'make clean   remove what was built'
	@echo 'make help    this list'
	@echo
	@echo 'ARGS=… passes arguments to ptkit: make check ARGS="--list", make bench ARGS=--json'
	@echo 'OPS=N or TIME=SECONDS, SHARD=i/n, JOBS=N and SEED=S are for make compare-long'

build: $(PTKIT)

# Silent when it succeeds, for the build's progress is no part of a test log.
$(PTKIT): $(SOURCES)
	@mkdir -p .build; echo 'building $@' >&2; \
	if $(SWIFT) build -c release $(TRAIT_OPTIONS) --product ptkit >.build/ptkit-build.log 2>&1; \
	then touch -c $@; else cat .build/ptkit-build.log >&2; exit 1; fi

# With KSRC, what is tested is the page-table code of that Linux tree; FORMATS names what a patch touches.
KSRC ?=
FORMATS ?=
# For a format that the kit was not compiled with (docs/new-format.md): its specification and its golden vectors.
SPEC ?=
GOLDEN ?=
# Paths are those of the folder that make was called in: `make -C ptkit check KSRC=.` in a kernel checkout.
path = $(if $(filter /%,$(1)),$(1),$(if $(wildcard $(PWD)/$(1)),$(abspath $(PWD)/$(1)),$(1)))
tree = $(if $(KSRC),--target ksrc:$(call path,$(KSRC)) $(if $(FORMATS),--formats $(subst $(space),$(comma),$(strip $(FORMATS)))))
target = $(if $(KSRC),$(tree) \
  $(if $(SPEC),--spec $(call path,$(SPEC))) $(if $(GOLDEN),--golden $(call path,$(GOLDEN))))

check: $(PTKIT)
	@$(PTKIT) selftest $(target) $(ARGS)

# Of the kernel that runs on this machine: what cannot be tested here is skipped, with the reason.
check-kernel: $(PTKIT)
	@$(PTKIT) selftest --target kernel $(ARGS)

# Rows are virtual machines (lab/rows); without ROW or ROWS=all those that run by default.
ROW ?=
ROWS ?=
KERNEL ?=
MODULES ?=

check-vm: $(PTKIT)
	@$(PTKIT) lab $(if $(filter all,$(ROWS)),all,$(ROW) $(ROWS)) $(if $(KERNEL),--kernel $(call path,$(KERNEL))) \
	  $(if $(MODULES),--modules $(call path,$(MODULES))) $(ARGS)

# Some tests need a kernel tree or kselftest's frame, from Debian's sources where PTKIT_KSRC names none.
test: deps $(PTKIT)
	@[ -n "$${PTKIT_KSRC+set}" ] || timeout -k 10 180 Sources/KernelTree/fetch 7.3 >/dev/null || \
	  echo 'test: there is no kernel tree; the tests that need one are skipped' >&2
	@$(SWIFT) build $(TRAIT_OPTIONS) --build-tests >&2
	$(SWIFT) test $(TRAIT_OPTIONS) --skip-build
	@.ci/check-selftests $(PTKIT)

bench: $(PTKIT)
	@$(PTKIT) bench $(tree) $(ARGS)

# OPS random operations for each pair of sides, or TIME seconds; SHARD=i/n runs one part of n, JOBS threads.
OPS ?= 25000
TIME ?=
SHARD ?=
JOBS ?= $(shell nproc 2>/dev/null || echo 1)
SEED ?= 0x5eed

# With KSRC, the page-table code of that tree stands on the left.
sides = $(if $(KSRC),--left ksrc:$(call path,$(KSRC)) $(if $(FORMATS),--formats $(subst $(space),$(comma),$(strip $(FORMATS)))) \
  --right reference,--right reference --right legacy)

compare-long: $(PTKIT)
	@$(PTKIT) compare --all $(sides) --exhaustive-too --seed $(SEED) --jobs $(JOBS) \
	  $(if $(TIME),--time $(TIME),--ops $(OPS)) $(if $(SHARD),--shard $(SHARD)) $(ARGS)

# Entry stores become relaxed atomics here, so that ThreadSanitizer knows them as such.
tsan:
	@$(SWIFT) build -c release --product ptkit --sanitize=thread -Xswiftc -DPTKIT_TSAN \
	  --scratch-path .build-tsan >&2
	@TSAN_OPTIONS=exitcode=1 .build-tsan/release/ptkit selftest concurrency $(ARGS)

dist:
	@SWIFT='$(SWIFT)' dist/build

# Beside what it tests it needs the tests of the kit, a kselftest frame, and the kernel and QEMU of the lab; what is missing is skipped.
dist-check: deps $(PTKIT)
	@$(SWIFT) build $(TRAIT_OPTIONS) --build-tests >&2
	tarball=$$(SWIFT='$(SWIFT)' dist/build) && \
	  PTKIT_DIST="$$tarball" $(SWIFT) test $(TRAIT_OPTIONS) --skip-build --filter DistTests

deps:
	@missing=; \
	for package in $(DEBIAN_PACKAGES); do \
	  dpkg-query -W -f '$${Status}\n' "$$package" 2>/dev/null | grep -q ' installed$$' || \
	    missing="$$missing $$package"; \
	done; \
	if [ -z "$$missing" ]; then \
	  echo 'deps: nothing is missing'; \
	elif [ "$$(id -u)" -eq 0 ]; then \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $$missing || \
	    { apt-get update && \
	      DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $$missing; }; \
	else \
	  echo "deps: missing packages; run: sudo apt-get install -y --no-install-recommends$$missing" >&2; \
	  exit 1; \
	fi

lint:
	@$(SWIFT) format lint --strict -r Sources Tests Package.swift
	@missing=$$(find Package.swift Makefile README.md CHANGELOG.md docs include dist lab .ci Sources Tests selftests Golden -type f \
	  ! -name '*.new' ! -path 'Tests/TAPTests/Logs/*.txt' -exec sh -c \
	  'for file do head -n 3 "$$file" | grep -q "SPDX-License-Identifier: GPL-2.0-only" || echo "$$file"; done' \
	  sh {} +); \
	if [ -n "$$missing" ]; then \
	  echo 'lint: no SPDX-License-Identifier line in:' "$$missing" >&2; exit 1; \
	fi

clean:
	@rm -rf .build .build-tsan .build-dist
