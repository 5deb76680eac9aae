# SPDX-License-Identifier: GPL-2.0-only
# What the Makefiles of the tests' programs have in common. Before it is included they set
#   programs	names of what is made in $(O)
#   shared	object files that all of them are linked of, each besides its own PROGRAM.o
#   includes	-I options
CC ?= gcc
CFLAGS ?= -O2 -g

cflags := -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -Wall -Wextra -Wmissing-prototypes \
	-Wno-unused-parameter -Wno-missing-field-initializers -MMD -MP -pthread \
	$(includes) $(shell pkg-config --cflags devmapper)
libs := -pthread $(shell pkg-config --libs devmapper)

.PHONY: all clean
all: $(addprefix $(O)/,$(programs))

$(addprefix $(O)/,$(programs)): $(O)/%: $(O)/%.o $(addprefix $(O)/,$(shared))
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(libs)

$(O)/%.o: %.c Makefile ../program.mk | $(O)
	$(CC) $(CFLAGS) $(cflags) -c -o $@ $<

$(O):
	mkdir -p $@

clean:
	rm -rf $(O)

-include $(wildcard $(O)/*.d)
