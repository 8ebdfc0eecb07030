# dracd: POP/IMAP-before-SMTP.  "make help" lists the targets.
#
#   make WITH_BDB=0            without Berkeley DB maps
#   make WITH_CDB=0            without cdb maps
#   make SAN=address,undefined with sanitizers, in a build folder of its own
#   make CC=clang WERROR=1     another compiler, warnings as errors (as CI does)

PREFIX      ?= /usr
SYSCONFDIR  ?= /etc
SBINDIR     ?= $(PREFIX)/sbin
LIBEXECDIR  ?= $(PREFIX)/libexec/dracd
LIBDIR      ?= $(PREFIX)/lib
INCLUDEDIR  ?= $(PREFIX)/include
MANDIR      ?= $(PREFIX)/share/man
BASHCOMPDIR ?= $(PREFIX)/share/bash-completion/completions
DOCDIR      ?= $(PREFIX)/share/doc/dracd
UNITDIR     ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
TMPFILESDIR ?= $(PREFIX)/lib/tmpfiles.d
DESTDIR     ?=

VERSION := $(shell sed -n 's/^## \([0-9][0-9.]*\).*/\1/p' CHANGELOG.md | head -n 1)

WITH_BDB ?= 1
WITH_CDB ?= 1
WERROR   ?= 0
SAN      ?=
FUZZ     ?= 0
COVERAGE ?= 0
MEMCHECK ?= 0

CC         ?= cc
PKG_CONFIG ?= pkg-config
OBJCOPY    ?= objcopy
comma := ,

# One build folder per flavour, so that switching rebuilds nothing and mixes nothing.
flavour := $(CC)$(if $(SAN),-$(subst $(comma),-,$(SAN)))$(if $(filter 0,$(WITH_BDB)),-nobdb)$(if $(filter 0,$(WITH_CDB)),-nocdb)$(if $(filter 1,$(COVERAGE)),-coverage)$(if $(filter 1,$(MEMCHECK)),-memcheck)
B := build/$(if $(filter cc gcc,$(flavour)),out,$(notdir $(flavour)))

WARNINGS := -Wall -Wextra -Wformat=2 -Wshadow -Wconversion -Wsign-conversion \
	-Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wpointer-arith \
	-Wcast-qual -Wwrite-strings -Wundef -Wvla -Wnull-dereference -Wredundant-decls -Wdate-time
ifeq (,$(findstring clang,$(CC)))
WARNINGS += -Wlogical-op -Wduplicated-cond -Wduplicated-branches -Wformat-signedness
endif
ifeq (1,$(WERROR))
WARNINGS += -Werror
endif

# A sanitizer, a count of lines or valgrind shall see what we wrote: no zeroed variables, no _chk calls.
HARDENING := -fstack-protector-strong -fstack-clash-protection -fPIE
ifeq (,$(SAN)$(filter 1,$(COVERAGE) $(MEMCHECK)))
OPTIMISE := -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
# What clang 14 does not have is asked for.
accepted = $(shell echo 'int x;' | $(CC) -Werror $(1) -x c -c -o /dev/null - 2>/dev/null && echo $(1))
HARDENING += -fno-delete-null-pointer-checks -fno-strict-overflow \
	$(call accepted,-ftrivial-auto-var-init=zero) $(call accepted,-fzero-call-used-regs=used-gpr)
else
OPTIMISE := -O1 -fno-omit-frame-pointer
endif
CFLAGS  ?= -g
LDFLAGS ?=
all_cflags  := -std=gnu17 $(OPTIMISE) $(CFLAGS) $(HARDENING) $(WARNINGS) -I. -MMD -MP \
	-D_GNU_SOURCE -DDRACD_VERSION='"$(VERSION)"' -DDRACD_LIBEXECDIR='"$(LIBEXECDIR)"' -DWITH_BDB=$(WITH_BDB) -DWITH_CDB=$(WITH_CDB)
all_ldflags := $(LDFLAGS) -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code
ifneq (,$(SAN))
all_cflags  += -fsanitize=$(SAN) -fno-sanitize-recover=all
all_ldflags += -fsanitize=$(SAN)
endif
ifeq (1,$(COVERAGE))
all_cflags  += --coverage -fprofile-update=atomic
all_ldflags += --coverage -Wl,--wrap=_exit
endif

daemon_packages := libsystemd lmdb libconfuse
daemon_libs = $(shell $(PKG_CONFIG) --libs $(daemon_packages)) $(maps_libs) -pthread
maps_libs   := $(if $(filter 1,$(WITH_BDB)),-ldb-5.3) $(if $(filter 1,$(WITH_CDB)),-lcdb)
json_libs   = $(shell $(PKG_CONFIG) --libs jansson)
rpc_cflags := -I$B $(patsubst -I%,-isystem %,$(shell $(PKG_CONFIG) --cflags libtirpc))
library_libs = $(shell $(PKG_CONFIG) --libs libtirpc)
rpc_libs    = $(shell $(PKG_CONFIG) --libs libtirpc libsystemd libconfuse)
test_libs   = $(shell $(PKG_CONFIG) --libs cmocka)

maps_left_out := $(if $(filter 0,$(WITH_BDB)),maps/map_bdb.c) $(if $(filter 0,$(WITH_CDB)),maps/map_cdb.c)
maps_src   := $(filter-out $(maps_left_out) maps/mapread.c,$(wildcard maps/*.c))
core_src   := $(filter-out %main.c,$(wildcard dracd/*.c)) client/words.c client/conf_text.c
daemon_src := dracd/main.c $(core_src)
withdraw_src := dracd/withdraw_main.c $(addprefix dracd/,withdraw.c clock.c published.c state_lock.c map_file.c file.c config.c \
	config_parse.c config_check.c config_map.c config_find.c option.c option_value.c prefix_set.c address.c log.c) client/words.c client/conf_text.c
obj = $(patsubst %.c,$B/%.o,$(1))

LIBRARIES := $B/client/libdrac.so.1 $B/client/libdrac.a
PROGRAMS := $B/dracd/dracd $B/dracd/dracd-withdraw $B/maps/drac-mapread $B/client/dracctl $B/client/drac-postlogin $B/rpc/drac-rpcd
UNITS    := $(wildcard packaging/*.service packaging/*.socket packaging/*.timer)
MANUALS  := $(wildcard dracd/*.[1-9] client/*.[1-9] rpc/*.[1-9])

all: $(PROGRAMS) $(LIBRARIES)

$B/dracd/dracd: $(call obj,$(daemon_src) $(maps_src))
	$(CC) $(all_ldflags) -o $@ $^ $(daemon_libs)

$B/dracd/dracd-withdraw: $(call obj,$(withdraw_src) $(maps_src))
	$(CC) $(all_ldflags) -o $@ $^ $(daemon_libs)

$B/maps/drac-mapread: $(call obj,maps/mapread.c $(maps_src))
	$(CC) $(all_ldflags) -o $@ $^ $(shell $(PKG_CONFIG) --libs lmdb) $(maps_libs) -pthread

$B/client/dracctl: $(call obj,client/dracctl.c $(wildcard client/ctl_*.c) client/report.c client/words.c)
	$(CC) $(all_ldflags) -o $@ $^ $(json_libs)

# Static, so that LD_PRELOAD from a user database has no hold on it; no sanitizer runtime
# exists for static programs, so a sanitized build links it dynamically.
postlogin_static := $(if $(SAN),,-static-pie)
$B/client/drac-postlogin: $(call obj,$(wildcard client/postlogin*.c) client/report.c client/words.c)
	$(CC) $(filter-out $(if $(SAN),,-pie),$(all_ldflags)) $(postlogin_static) -o $@ $^

# What rpcgen makes of rpc/drac.x stays in the build folder, and is compiled as it is.
$B/rpc/drac.h $B/rpc/drac_xdr.c &: rpc/drac.x Makefile
	@mkdir -p $(@D)
	rm -f $B/rpc/drac.h $B/rpc/drac_xdr.c
	rpcgen -C -h -o $B/rpc/drac.h rpc/drac.x
	rpcgen -C -c -o $B/rpc/drac_xdr.c rpc/drac.x
	sed -i 's|"rpc/drac.h"|"drac.h"|' $B/rpc/drac_xdr.c

$B/rpc/drac_xdr.o: $B/rpc/drac_xdr.c
	$(CC) $(filter-out $(WARNINGS),$(all_cflags)) -w -c -o $@ $<

rpc_objects := $(call obj,$(wildcard rpc/*.c) client/report.c client/words.c client/conf_text.c) $B/rpc/drac_xdr.o
$(filter $B/rpc/%,$(rpc_objects)) $B/tests/unit/test_rpc_%.o: all_cflags += $(rpc_cflags)
$(filter-out $B/rpc/drac_xdr.o,$(filter $B/rpc/%,$(rpc_objects))): | $B/rpc/drac.h

$B/rpc/drac-rpcd: $(rpc_objects)
	$(CC) $(all_ldflags) -o $@ $^ $(rpc_libs)

# libdrac shows its eight calls and nothing else: the archive is one object, so that a
# program that has a line_init() of its own can still be linked to it.
library_objects := $(patsubst %.c,$B/pic/%.o,client/dracauth.c client/drac_server.c client/drac_rpc.c client/report.c client/words.c)
library_cflags  := $(rpc_cflags) -fPIC -fvisibility=hidden

$(library_objects): $B/pic/%.o: %.c Makefile | $B/rpc/drac.h
	@mkdir -p $(@D)
	$(CC) $(filter-out -fPIE,$(all_cflags)) $(library_cflags) -I$B/rpc -c -o $@ $<

$B/pic/drac_xdr.o: $B/rpc/drac_xdr.c
	@mkdir -p $(@D)
	$(CC) $(filter-out -fPIE $(WARNINGS),$(all_cflags)) -w $(library_cflags) -c -o $@ $<

$B/client/libdrac.so.1: $(library_objects) $B/pic/drac_xdr.o
	$(CC) -shared -Wl,-soname,$(@F) $(if $(SAN),,-Wl$(comma)-z$(comma)defs) $(filter-out -pie,$(all_ldflags)) -o $@ $^ $(library_libs)

$B/client/libdrac.a: $(library_objects) $B/pic/drac_xdr.o
	$(LD) -r -o $(@:.a=.o) $^
	$(OBJCOPY) --localize-hidden $(@:.a=.o)
	rm -f $@
	$(AR) rcs $@ $(@:.a=.o)

$B/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(all_cflags) -c -o $@ $<

# ---- tests ------------------------------------------------------------------------------
# tests/unit/test_NAME.c links only the modules that tests/unit/tests.mk names for it.
include tests/unit/tests.mk
unit_names := $(patsubst tests/unit/test_%.c,%,$(wildcard tests/unit/test_*.c))
ifeq (0,$(WITH_BDB))
unit_names := $(filter-out $(bdb_tests),$(unit_names))
endif
ifeq (0,$(WITH_CDB))
unit_names := $(filter-out $(cdb_tests),$(unit_names))
endif
unit_programs := $(patsubst %,$B/tests/unit/test_%,$(unit_names))
unit_objects   = $(foreach m,$(links_$(1)),$(if $(or $(wildcard $(m).c),$(filter rpc/drac_xdr,$(m))),$B/$(m).o))

.SECONDEXPANSION:
$(unit_programs): $B/tests/unit/test_%: $B/tests/unit/test_%.o $$(call unit_objects,$$*)
	$(CC) $(all_ldflags) -o $@ $^ $(test_libs) $(daemon_libs) $(json_libs) $(if $(filter rpc_%,$*),$(rpc_libs))

# What scenarios run beside dracd.
ASKER := $B/tests/asker/asker
$(ASKER): $B/tests/asker/asker.o
	$(CC) $(all_ldflags) -o $@ $^ -pthread

# cmocka 2 (Debian testing) deprecates assertions for which cmocka 1 (Debian 12) has no other name.
$(unit_programs:%=%.o): all_cflags += -Wno-deprecated-declarations

READER := $B/tests/reader/reader
$(READER): $B/tests/reader/reader.o
	$(CC) $(all_ldflags) -o $@ $^ $(shell $(PKG_CONFIG) --libs lmdb) $(maps_libs)

# Writes what DRAC would have left behind.
ifeq (1,$(WITH_BDB))
OLDDB := $B/tests/olddb/olddb
$(OLDDB): $B/tests/olddb/olddb.o
	$(CC) $(all_ldflags) -o $@ $^ -ldb-5.3
endif

# Programs of DRAC's time, one for each way of linking.
OLD_CLIENTS := $B/tests/libdrac/old_client $B/tests/libdrac/old_client_static
$B/tests/libdrac/old_client: $B/tests/libdrac/old_client.o $B/client/libdrac.so.1
	$(CC) $(all_ldflags) -o $@ $^ -Wl,-rpath,'$$ORIGIN/../../client' -pthread

$B/tests/libdrac/old_client_static: $B/tests/libdrac/old_client.o $B/client/libdrac.a
	$(CC) $(all_ldflags) -o $@ $^ $(library_libs) -pthread

SESSION := $B/tests/reader/session
$(SESSION): $B/tests/reader/session.o
	$(CC) $(all_ldflags) -o $@ $^ $(shell $(PKG_CONFIG) --libs lmdb)

unit: $(unit_programs) $(PROGRAMS) $(LIBRARIES) $(ASKER) $(READER) $(SESSION) $(OLDDB) $(OLD_CLIENTS) bench-programs

ifeq (1,$(COVERAGE))
$(unit_programs) $(PROGRAMS) $(ASKER) $(READER) $(SESSION) $(OLDDB) $(OLD_CLIENTS): $B/tests/coverage/exit.o
endif

check-unit: unit
	@B=$B tests/run-unit

# The full run of what check-unit does with a few hundred publications: some 20 minutes.
readers: unit
	@B=$B READERS_PUBLICATIONS=100000 PYTHONPATH=tests/scenario:. python3 -m unittest -v test_readers

check: packages
	@$(MAKE) --no-print-directory all
	@B=$B tests/run-all

# Ten thousand random tables: every lookup and every map file against an oracle (tests/differential).
TABLES ?= 10000
differential: packages
	@$(MAKE) --no-print-directory all
	@B=$B python3 -m tests.differential.run $(TABLES) $(SEED)

# dracd, drac-rpcd and dracctl once around under valgrind: leaks, descriptors left open.
check-valgrind:
	@$(MAKE) --no-print-directory MEMCHECK=1 all
	@$(MAKE) --no-print-directory MEMCHECK=1 valgrind-run

valgrind-run:
	@B=$B python3 -m tests.memcheck

# Line coverage of all tests; fails if the pure rules fall short (tests/coverage/report.py).
coverage: packages
	@$(MAKE) --no-print-directory COVERAGE=1 unit
	@$(MAKE) --no-print-directory COVERAGE=1 coverage-run

coverage-run:
	@B=$B python3 -m tests.coverage.report

demo: packages
	@$(MAKE) --no-print-directory all
	@B=$B tests/run-demo

# The real servers of a release of Debian, and the demo: make interop RELEASE=trixie
RELEASE ?= $(shell sed -n 's/^VERSION_CODENAME=//p' /etc/os-release 2>/dev/null)

interop: packages
	@$(MAKE) --no-print-directory all
	@B=$B WERROR=$(WERROR) tests/run-all $(RELEASE)

# kill -9 of every program of ours, so many times, with Postfix and Sendmail asked throughout: an hour.
KILLS ?= 10000

deaths: packages
	@$(MAKE) --no-print-directory all unit
	@tests/servers
	@B=$B KILLS=$(KILLS) tests/run-namespaced /usr/bin/python3 -B -m tests.interop.test_deaths

# The same on three generations of Debian, one after the other; the last line sums up.
RELEASES := bookworm trixie forky

interop-all:
	@MAKE="$(MAKE)" WERROR=$(WERROR) tests/run-releases $(RELEASES)

# Writes the README's table from what the last `make check` and `make interop` have found.
compatibility:
	@/usr/bin/python3 -m tests.compatibility --write

packages:
	@tests/packages

# ---- proofs of what must never happen ------------------------------------------------------
# Random schedules against an oracle (tests/soak): make soak SOAK=1000000, and one that failed
# again by SOAK=1 SEED=its number.
SOAK ?= 20000
SEED ?= $(shell date +%s%N)
SOAK_DIRECTORY ?= /dev/shm
soak_modules := $(filter-out dracd/main dracd/store dracd/table_check,$(patsubst %.c,%,$(daemon_src) $(maps_src)))

$B/tests/soak/soak: $(call obj,$(wildcard tests/soak/*.c)) $(soak_modules:%=$B/%.o)
	$(CC) $(all_ldflags) -Wl,--wrap=clock_now -o $@ $^ $(daemon_libs)

soak: $B/tests/soak/soak
	@$< $(SOAK) $(SEED) $(SOAK_DIRECTORY)

# Power loss at any moment of a recorded cycle (tests/powerloss): STATES disks at each moment.
STATES ?= 100
links_powerloss = dracd/state dracd/state_lock dracd/block dracd/log dracd/guard dracd/clock client/words $(links_table) $(links_config)

$B/tests/powerloss/judge: $B/tests/powerloss/judge.o $$(call unit_objects,powerloss)
	$(CC) $(all_ldflags) -o $@ $^ $(daemon_libs)

power-loss: all $B/tests/powerloss/judge
	@B=$B python3 -m tests.powerloss $(STATES) $(if $(filter command line environment,$(origin SEED)),$(SEED))

# ---- benchmarks ----------------------------------------------------------------------------
# tests/bench/NAME.c links the modules that tests/bench/bench.mk names for it.
include tests/bench/bench.mk
bench_programs := $(bench_names:%=$B/tests/bench/%)

$(bench_programs): $B/tests/bench/%: $B/tests/bench/%.o $$(foreach m,$$(bench_$$*),$B/$$m.o)
	$(CC) $(all_ldflags) -o $@ $^ $(daemon_libs)

ifeq (1,$(COVERAGE))
$(bench_programs): $B/tests/coverage/exit.o
endif

# Under script-login it stands where drac-postlogin stands, so it is linked in the same way.
$B/tests/bench/exec_only: $(call obj,tests/bench/exec_only.c)
	$(CC) $(filter-out $(if $(SAN),,-pie) -Wl$(comma)--wrap=_exit,$(all_ldflags)) $(postlogin_static) -o $@ $^

# It is loaded into programs that have their sanitizers already.
$B/tests/bench/slow_sync.so: tests/bench/slow_sync.c Makefile
	@mkdir -p $(@D)
	$(CC) $(filter-out -fPIE -fsanitize=% --coverage,$(all_cflags)) -fPIC -shared $(LDFLAGS) -o $@ $<

bench-programs: $(bench_programs) $B/tests/bench/exec_only $B/tests/bench/slow_sync.so

bench: packages
	@$(MAKE) --no-print-directory all bench-programs
	@B=$B tests/run-bench

bench-quick: packages
	@$(MAKE) --no-print-directory all bench-programs
	@B=$B tests/run-bench quick

# ---- fuzzing ------------------------------------------------------------------------------
# tests/fuzz/fuzz_NAME.c links what tests/fuzz/fuzz.mk names; clang's libFuzzer, ASan and UBSan.
FUZZ_SECONDS ?= 60
include tests/fuzz/fuzz.mk
fuzz_names := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
fuzz_cflags := -std=gnu17 -g -O2 -I. -I$B/rpc $(rpc_cflags) -D_GNU_SOURCE -DDRACD_VERSION='"$(VERSION)"' -DDRACD_LIBEXECDIR='"$(LIBEXECDIR)"' -DWITH_BDB=$(WITH_BDB) -DWITH_CDB=$(WITH_CDB) \
	-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
fuzz_libs := $(foreach call,malloc calloc realloc reallocarray strdup asprintf vasprintf,-Wl,--wrap=$(call))

build/fuzz/%: tests/fuzz/fuzz_%.c tests/fuzz/failing.c $(wildcard tests/fuzz/*.h) $$(foreach m,$$(fuzz_links_$$*),$$m.c)
	@mkdir -p $(@D)
	clang $(fuzz_cflags) -o $@ $(filter %.c,$^) $(fuzz_libs) $(fuzz_libs_$*)

# What of the decoders the corpora of the last "make fuzz" reach.
build/fuzz-coverage/%: tests/fuzz/fuzz_%.c tests/fuzz/replay.c tests/fuzz/failing.c $(wildcard tests/fuzz/*.h) $$(foreach m,$$(fuzz_links_$$*),$$m.c)
	@mkdir -p $(@D)
	$(CC) $(filter-out -O2 -fsanitize=% -fno-sanitize%,$(fuzz_cflags)) -O0 --coverage -o $@ $(filter %.c,$^) $(fuzz_libs) $(fuzz_libs_$*) -pthread

# Octets that were never written: the kept corpora, replayed under clang's MemorySanitizer.  Only decoders that call
# nothing but the C library, which it knows; libtirpc, libconfuse, LMDB and the map libraries are built without it.
msan_names := $(filter-out config settings import reply rpc,$(fuzz_names))
build/fuzz-msan/%: tests/fuzz/fuzz_%.c tests/fuzz/replay.c tests/fuzz/failing.c $(wildcard tests/fuzz/*.h) $$(foreach m,$$(fuzz_links_$$*),$$m.c)
	@mkdir -p $(@D)
	clang $(filter-out -fsanitize=% -fno-sanitize%,$(fuzz_cflags)) -O1 -fsanitize=memory -fsanitize-memory-track-origins -fno-omit-frame-pointer \
		-o $@ $(filter %.c,$^) $(fuzz_libs) $(fuzz_libs_$*)

fuzz-msan: $(msan_names:%=build/fuzz-msan/%)
	@for name in $(msan_names); do \
		MSAN_OPTIONS=halt_on_error=1 build/fuzz-msan/$$name tests/fuzz/seeds/$$name/* 2>build/fuzz-msan/$$name.log || \
			{ echo "not ok $$name"; head -n 20 build/fuzz-msan/$$name.log; exit 1; }; \
		echo "ok $$name"; done

fuzz-coverage: $(fuzz_names:%=build/fuzz-coverage/%)
	@python3 -m tests.fuzz_coverage $(fuzz_names)

fuzz: $(fuzz_names:%=build/fuzz/%)
	tests/run-fuzz $(FUZZ_SECONDS) $(fuzz_names)

# What the compilers do not see: "make analyze", or a good minute of it, "make analyze QUICK=1".
analyze: $B/rpc/drac.h
	QUICK=$(QUICK) tests/analyze -std=gnu17 -I. -I$B/rpc $(rpc_cflags) -D_GNU_SOURCE -DDRACD_VERSION='"$(VERSION)"' \
		-DDRACD_LIBEXECDIR='"$(LIBEXECDIR)"' -DWITH_BDB=$(WITH_BDB) -DWITH_CDB=$(WITH_CDB)

# ---- torture ------------------------------------------------------------------------------
include tests/torture/torture.mk

# ---- checks that fail the build -----------------------------------------------------------
c_files = $(shell find dracd client maps rpc tests -name "*.[ch]")

lint: format-check layers man-lint

format-check:
	@clang-format --dry-run --Werror $(c_files)

format:
	clang-format -i $(c_files)

layers:
	tests/check-layers

man-lint:
	$(if $(MANUALS),mandoc -Tlint -Wwarning $(MANUALS))

# ---- installation -------------------------------------------------------------------------
install: all
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(SYSCONFDIR)/drac/drac.conf.d
	install -m 0755 $B/dracd/dracd $B/client/dracctl $B/rpc/drac-rpcd $(DESTDIR)$(SBINDIR)
	install -m 0755 $B/client/drac-postlogin $B/maps/drac-mapread $B/dracd/dracd-withdraw $(DESTDIR)$(LIBEXECDIR)
	install -D -m 0644 -t $(DESTDIR)$(LIBDIR) $(LIBRARIES)
	ln -sf libdrac.so.1 $(DESTDIR)$(LIBDIR)/libdrac.so
	install -D -m 0644 -t $(DESTDIR)$(INCLUDEDIR) client/dracauth.h
	test -e $(DESTDIR)$(SYSCONFDIR)/drac/drac.conf || \
		install -m 0644 drac.conf $(DESTDIR)$(SYSCONFDIR)/drac/drac.conf
	for m in $(MANUALS); do \
		install -D -m 0644 $$m $(DESTDIR)$(MANDIR)/man$${m##*.}/$${m##*/}; done
	for call in $(dracauth_calls); do ln -sf dracauth.3 $(DESTDIR)$(MANDIR)/man3/$$call.3; done
	install -D -m 0644 -t $(DESTDIR)$(DOCDIR) README.md CHANGELOG.md LICENSE drac.conf
	install -D -m 0644 -t $(DESTDIR)$(UNITDIR) $(UNITS)
	sed -i 's|/usr/sbin/|$(SBINDIR)/|; s|/usr/libexec/dracd/|$(LIBEXECDIR)/|' $(addprefix $(DESTDIR)$(UNITDIR)/,$(notdir $(UNITS)))
	install -D -m 0644 packaging/dracctl.bash-completion $(DESTDIR)$(BASHCOMPDIR)/dracctl
	install -D -m 0644 packaging/dracd.sysusers $(DESTDIR)$(SYSUSERSDIR)/dracd.conf
	install -D -m 0644 packaging/dracd.tmpfiles $(DESTDIR)$(TMPFILESDIR)/dracd.conf

# They share a manual page.
dracauth_calls := dracconn dracsend dracdisc dracauth6 dracconn6 dracsend6 dracdisc6

uninstall:
	rm -f $(dracauth_calls:%=$(DESTDIR)$(MANDIR)/man3/%.3)
	rm -f $(addprefix $(DESTDIR)$(SBINDIR)/,dracd dracctl drac-rpcd)
	rm -f $(addprefix $(DESTDIR)$(LIBDIR)/,libdrac.so.1 libdrac.so libdrac.a) \
		$(DESTDIR)$(INCLUDEDIR)/dracauth.h
	rm -f $(addprefix $(DESTDIR)$(UNITDIR)/,$(notdir $(UNITS))) \
		$(DESTDIR)$(SYSUSERSDIR)/dracd.conf $(DESTDIR)$(TMPFILESDIR)/dracd.conf \
		$(DESTDIR)$(BASHCOMPDIR)/dracctl
	rm -rf $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(DOCDIR)
	for m in $(MANUALS); do rm -f $(DESTDIR)$(MANDIR)/man$${m##*.}/$${m##*/}; done

dist:
	@mkdir -p build
	git archive --prefix=dracd-$(VERSION)/ -o build/dracd-$(VERSION).tar.gz HEAD

clean:
	rm -rf build/out build/out-* build/*-nobdb build/*-nocdb build/clang* build/gcc-* build/cc-*

distclean:
	rm -rf build

help:
	@sed -n 's/^\([a-z-]*\):.*/\1/p' Makefile tests/torture/torture.mk | sort -u | tr '\n' ' '; echo

-include $(shell find $B -name '*.d' 2>/dev/null)

.PHONY: readers all deaths analyze check-valgrind valgrind-run fuzz-msan differential bench bench-quick bench-programs fuzz fuzz-coverage soak power-loss unit check-unit check coverage coverage-run demo \
	interop interop-all compatibility packages lint format-check format layers man-lint install uninstall dist clean \
	distclean help
.DELETE_ON_ERROR:
