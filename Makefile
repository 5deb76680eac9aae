# SPDX-License-Identifier: GPL-2.0-only
# dm-qbd: the kernel module, the userspace tool, and their tests. "make help" lists the targets.
VERSION := 0.1.0

# The kernel that the module is built for, and how: KDIR is its headers or built tree, LANE names
# the folder in $(BUILD) that the objects go to, so that builds for several kernels stand side by
# side. KMAKE: more words for Kbuild, such as W=1.
KDIR  ?= /lib/modules/$(shell uname -r)/build
BUILD ?= build
LANE  ?= $(notdir $(abspath $(KDIR)/..))
KMAKE ?=
DESTDIR ?=

.DEFAULT_GOAL := all
MAKEFLAGS += --no-print-directory
.PHONY: all help module userspace userspace-install userspace-clean install install-dkms clean test test-unit test-uml test-debug \
	test-guest test-smp test-dkms test-faults test-mutations check check-module check-scripts check-userspace \
	demo model soak $(addprefix module-,fast debug 6.1 6.12 guest-debug)

all: module userspace ## the module for the running kernel (or KDIR=), and the userspace tool

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

# --- the module ---------------------------------------------------------------------------------

objdir := $(BUILD)/$(LANE)

# Kbuild puts objects beside the sources, so each kernel gets a folder of links to them; another
# kernel there begins anew, since Kbuild would not see all of what differs. Two makes at a time
# wait for each other.
module: ## the module alone: $(BUILD)/LANE/dm-qbd.ko
	@[ -e $(KDIR)/Makefile ] || { echo "No kernel headers in $(KDIR): install" \
		"linux-headers-$$(uname -r), or set KDIR." >&2; exit 1; }
	@mkdir -p $(objdir)/kernel
	@flock $(objdir) $(MAKE) kbuild

.PHONY: kbuild
kbuild:
	@[ "$$(cat $(objdir)/.kdir 2>/dev/null)" = "$(realpath $(KDIR))" ] || \
		{ find $(objdir) -mindepth 1 -delete; mkdir $(objdir)/kernel; echo "$(realpath $(KDIR))" >$(objdir)/.kdir; }
	@find $(objdir) -xtype l -delete
	@ln -sfnr Kbuild include $(objdir)/
	@ln -sfnr $(wildcard kernel/*.[ch]) kernel/probes $(objdir)/kernel/
	$(MAKE) -C $(KDIR) M=$(abspath $(objdir)) $(KMAKE) modules

# For the kernels of the tests, which are made or fetched first.
module-fast module-debug module-6.1 module-6.12 module-guest-debug: module-%: ## the module for a kernel of the tests
	tests/lib/build-module $*

# --- the userspace tool -------------------------------------------------------------------------

ifneq ($(wildcard userspace/Makefile),)
userspace: ## the userspace tool
	$(MAKE) -C userspace O=$(abspath $(BUILD))/userspace

userspace-install userspace-clean: userspace-%:
	$(MAKE) -C userspace O=$(abspath $(BUILD))/userspace $*
else
userspace userspace-install userspace-clean: ;
endif

# --- installing ---------------------------------------------------------------------------------

install: module userspace-install ## both, for the running kernel; install-dkms is for all kernels
	$(MAKE) -C $(KDIR) M=$(abspath $(objdir)) \
		$(if $(DESTDIR),INSTALL_MOD_PATH=$(DESTDIR)) modules_install

install-dkms: ## the module's sources, for "dkms install dm-qbd/$(VERSION)"
	install -d $(DESTDIR)/usr/src/dm-qbd-$(VERSION)
	cp -r Makefile Kbuild dkms.conf LICENSE kernel include $(DESTDIR)/usr/src/dm-qbd-$(VERSION)/

clean: userspace-clean
	rm -rf $(BUILD)

# --- tests --------------------------------------------------------------------------------------

test: ## everything but the mutations: unit tests, both user-mode kernels, both stock kernels
	tests/run

test-unit: ## unit tests in userspace
	tests/run --lane unit

test-uml: ## the tests in the user-mode kernel of native speed
	tests/run --lane uml-fast

test-debug: ## the tests in the user-mode kernel with KASAN, lockdep and kmemleak
	tests/run --lane uml-debug

test-guest: ## the smoke tests in Debian's stock 6.1 and 6.12
	tests/run --lane guest-6.1 --lane guest-6.12

test-smp: ## the reference model with losses, in a kernel with KASAN, lockdep and two CPUs, for 10 minutes
	tests/run --lane guest-debug --jobs 1

test-dkms: ## an installation by DKMS for both stock kernels, into a folder of its own
	tests/run --lane host dkms

test-mutations: ## does each broken promise fail its test? MUTATIONS="name..." selects
	tests/mutations/run $(MUTATIONS)

# Each of the files goes on for its share of the time.
soak_cases := hostile power-cut power-cut-losses power-cut-journal
soak: ## fuzzing for MINUTES=n (10; 30: over 10 million runs), and for as long power cuts and hostile images
	QBD_SOAK_SECONDS=$$(($(or $(MINUTES),10) * 60)) tests/run --lane host --jobs 1 fuzz
	QBD_SOAK_SECONDS=$$(($(or $(MINUTES),10) * 60 / $(words $(soak_cases)))) \
		tests/run --lane uml-fast --jobs 1 $(soak_cases)

test-faults: ## every allocation and request fails once, the 1st to the 200th: hours
	QBD_STEP=1 QBD_SOAK_SECONDS=20000 tests/run --lane uml-debug --jobs 1 fault-sweeps

model: ## check the protocol's models
	$(MAKE) -C tests/model

demo: ## the main job with real parts, from an empty disk to a repaired pool
	tests/demo

check: check-module check-scripts check-userspace ## compilers' warnings, sparse, checkpatch, shellcheck

check-module:
	tests/lib/check-module

check-scripts:
	tests/lib/check-scripts
	tests/mutations/run --check

check-userspace:
	tests/lib/check-userspace
