# One full cycle of dracd with a fault in each of its system calls (tests/torture).
$B/tests/torture/calls.h: Makefile
	@mkdir -p $(@D)
	echo '#include <asm/unistd.h>' | $(CC) -E -dM - | sed -n 's/^#define __NR_\([a-z0-9_]*\) \([0-9]*\)$$/[\2] = "\1",/p' >$@

$B/tests/torture/tracer.o: $B/tests/torture/calls.h
$B/tests/torture/tracer.o: all_cflags += -I$B/tests/torture

TRACER := $B/tests/torture/tracer
$(TRACER): $B/tests/torture/tracer.o
	$(CC) $(all_ldflags) -o $@ $^

ifeq (1,$(COVERAGE))
$(TRACER): $B/tests/coverage/exit.o
endif

# It knows how to make a call fail on x86-64 only.
ifneq (,$(filter x86_64-%,$(shell $(CC) -dumpmachine)))
unit: $(TRACER)
endif

# All of it, an hour on two processors; or what TORTURE names: make torture TORTURE='map:hash fsync 3 EIO'
torture: all $(TRACER)
	@B=$B TORTURE="$(TORTURE)" /usr/bin/python3 -m tests.torture.sweep

# What CI has time for. TORTURE_SEED repeats the choice of another run.
TORTURE_SAMPLE ?= 200
torture-sample: all $(TRACER)
	@B=$B TORTURE_SAMPLE=$(TORTURE_SAMPLE) TORTURE_SEED="$(TORTURE_SEED)" /usr/bin/python3 -m tests.torture.sweep

.PHONY: torture torture-sample
