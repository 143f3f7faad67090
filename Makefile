# Kantor: `make help` says what there is.
#
#   make                 build/kantord and build/kantorctl
#   make unit T=mail/mime ROOMS="core mail/mime" BUILD=/tmp/b      one room's unit tests
#   CC=clang SAN=address|thread WERROR=1                           variants

BUILD  ?= build
CC     ?= gcc
OPT    ?= -O2 -g
ROOMS  ?= core calendar contacts tasks mail dav web
VERSION := $(shell cat VERSION 2>/dev/null || echo 0.1.0)

ifeq ($(origin CC),default)
CC := gcc
endif

WARN   := -std=c11 -D_GNU_SOURCE -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2
HARDEN := -fstack-protector-strong -fPIE -fno-strict-aliasing -fno-omit-frame-pointer -fsigned-char
LINK   := -pie -Wl,-z,relro,-z,now,-z,noexecstack
ifneq ($(WERROR),)
WARN += -Werror
endif
ifeq ($(SAN),address)
HARDEN += -fsanitize=address,undefined -fno-sanitize-recover=undefined -DKANTOR_DEBUG
LINK   += -fsanitize=address,undefined
else ifeq ($(SAN),thread)
HARDEN += -fsanitize=thread -DKANTOR_DEBUG
LINK   += -fsanitize=thread
else ifeq ($(SAN),fuzzer)
HARDEN += -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -DKANTOR_DEBUG
LINK   += -fsanitize=fuzzer,address,undefined
FUZZ_MAIN :=
else
HARDEN += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
endif
CFLAGS_ALL = $(OPT) $(WARN) $(HARDEN) $(CFLAGS) -I. -I$(BUILD)/gen -DKANTOR_VERSION='"$(VERSION)"' -pthread
LIBS   := -lsqlite3 -levent_core -levent_pthreads -lssl -lcrypto -lcrypt -lz -lidn2 -lutf8proc -ljansson -lpsl -lunbound -lm -pthread

SRC    := $(filter-out core/kantord/% core/kantorctl/%,$(shell find $(ROOMS) -name '*.c' 2>/dev/null | sort))
OBJ    := $(SRC:%.c=$(BUILD)/obj/%.o)
D_OBJ  := $(patsubst %.c,$(BUILD)/obj/%.o,$(sort $(wildcard core/kantord/*.c)))
ASKED_OBJ := $(patsubst %.c,$(BUILD)/obj/%.o,$(sort $(wildcard core/kantord/operations*.c)) $(addprefix core/kantord/,frames.c report.c serve.c control_path.c backup_run.c restore_account.c))
CTL_OBJ := $(patsubst %.c,$(BUILD)/obj/%.o,$(sort $(wildcard core/kantorctl/*.c)))

all: $(BUILD)/kantord $(BUILD)/kantorctl

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -MMD -MP -c $< -o $@

$(BUILD)/libkantor.a: $(OBJ)
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/kantord: $(D_OBJ) $(BUILD)/libkantor.a
	$(CC) $(LINK) -o $@ $^ $(LIBS)

# the operations stand beside the server; kantorctl runs them itself on a stopped server's files
$(BUILD)/kantorctl: $(CTL_OBJ) $(ASKED_OBJ) $(BUILD)/libkantor.a
	$(CC) $(LINK) -o $@ $^ $(LIBS)

# --- unit tests: tests/unit/<path>_test.c, cmocka, one program each
T ?=
UNIT_SRC := $(shell find $(patsubst %,tests/unit/%,$(if $(T),$(T),$(ROOMS))) -name '*_test.c' 2>/dev/null | sort) $(wildcard tests/unit/$(T)_test.c)
UNIT_BIN := $(UNIT_SRC:%.c=$(BUILD)/%)

$(BUILD)/tests/unit/%: tests/unit/%.c $(BUILD)/libkantor.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -MMD -MP $(LINK) -o $@ $< $(BUILD)/libkantor.a $(LIBS) -lcmocka

# programs through which tests in Python call pure functions
TOOL_BIN := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/tool/*.c))

$(BUILD)/tests/tool/%: tests/tool/%.c $(BUILD)/libkantor.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -MMD -MP $(LINK) -o $@ $< $(BUILD)/libkantor.a $(LIBS)

unit: $(UNIT_BIN) $(if $(T),,$(TOOL_BIN))
	@failed=0; for t in $(UNIT_BIN); do echo "== $$t"; $$t || failed=1; done; exit $$failed

# --- manual pages, made of the tables of options and operations
MAN := $(addprefix $(BUILD)/man/,kantord.8 kantorctl.1 kantor.conf.5)

$(BUILD)/man/%: $(BUILD)/kantord
	@mkdir -p $(@D)
	$(BUILD)/kantord --print-man $* > $@

man: $(MAN)

include tests/fuzz/fuzz.mk

# --- the two commands
deps:
	@tools/install_packages.sh conf/packages-build

run: deps
	@$(MAKE) --no-print-directory -j2 all
	exec $(BUILD)/kantord --demo ./demo --port-base 10000

test-deps:
	@tools/install_packages.sh conf/packages-build tests/packages

# Debian's Python, whichever the shell would find: it has Debian's pytest
TEST_RUN = PATH=/usr/bin:$$PATH BUILD=$(BUILD) tests/run

# unit, protocol and crash tests; ASan, UBSan and clang are in .ci/run
test: test-deps
	@$(MAKE) --no-print-directory all
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory fuzz-replay
	$(TEST_RUN) protocol service dribble clients corpus crash

# what `make test` has no time for: 50 rounds of kill -9
test-long: test-deps
	@$(MAKE) --no-print-directory all
	$(TEST_RUN) long

# --- benches: beside Dovecot and Postfix on one disk; BENCH="--quick --only mailbox"
BENCH ?=
BENCH_SRC := tests/bench/client.c $(wildcard tests/bench/load*.c)
$(BUILD)/bench/load: $(BENCH_SRC) $(wildcard tests/bench/*.h)
	@mkdir -p $(@D)
	$(CC) $(OPT) $(WARN) -pthread -Itests/bench -o $@ $(BENCH_SRC) -lssl -lcrypto

bench: deps
	@tools/install_packages.sh conf/packages-build tests/bench/packages
	@$(MAKE) --no-print-directory all $(BUILD)/bench/load
	/usr/bin/python3 tests/bench/run.py --build $(BUILD) --write docs/performance.md $(BENCH)

# --- installing: `make install` puts files, `make deb` a package whose scripts make the user and the first certificate
PREFIX ?= /usr
UNITS  ?= /lib/systemd/system

install: all man
	install -D -m 755 $(BUILD)/kantord $(DESTDIR)$(PREFIX)/sbin/kantord
	install -D -m 755 $(BUILD)/kantorctl $(DESTDIR)$(PREFIX)/sbin/kantorctl
	install -D -m 644 conf/kantor.service $(DESTDIR)$(UNITS)/kantor.service
	install -D -m 644 conf/sysusers.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/kantor.conf
	install -D -m 644 conf/tmpfiles.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/kantor.conf
	install -d $(addprefix $(DESTDIR)$(PREFIX)/share/man/man,1 5 8) $(DESTDIR)/etc/kantor
	for page in $(MAN); do gzip -9nc $$page > $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$$(basename $$page).gz; done
	[ -e $(DESTDIR)/etc/kantor/kantor.conf ] || $(BUILD)/kantord --print-sample > $(DESTDIR)/etc/kantor/kantor.conf

deb: all
	+tools/make_deb.sh $(BUILD)

# --- style: each check prints what to mend and how
.PHONY: deb lint cppcheck format help
lint:
	@failed=0; for c in shape arrows banned options walk; do /usr/bin/python3 tools/check_$$c.py || failed=1; done; CC="$(CC)" tools/check_headers.sh || failed=1; exit $$failed

# slower readers of the code, for a quiet moment
cppcheck:
	cppcheck --quiet --std=c11 -I. -D_GNU_SOURCE --enable=warning,portability --inline-suppr --suppress=missingIncludeSystem --error-exitcode=1 core mail

# formats what differs from the last commit, or F="one.c two.h"
F ?= $(shell git diff --name-only HEAD -- '*.c' '*.h')
format:
	$(if $(F),clang-format -i $(F),@echo "nothing differs from the last commit; name files with F=")

help:
	@echo "make                build/kantord and build/kantorctl"
	@echo "make run            the demonstration organisation in ./demo, ports from 10000 on"
	@echo "make test           unit, protocol and crash tests (test-long: what needs an hour)"
	@echo "make unit T=DIR     unit tests of one room; SAN=address or SAN=thread with a BUILD= of its own"
	@echo "make lint           rules of the sources; cppcheck, format F=FILES"
	@echo "make install        into DESTDIR=/ PREFIX=/usr; make deb: a Debian package in build/"
	@echo "make man, clean     variables: CC=clang, WERROR=1, OPT=-O1, BUILD=folder"

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' -type f 2>/dev/null)
.PHONY: all man unit clean deps run test-deps test test-long bench fuzz fuzz-build fuzz-replay install

# .incbin is not seen by -MMD
$(BUILD)/obj/core/store/schema.o: $(wildcard core/store/schema/*.sql)
