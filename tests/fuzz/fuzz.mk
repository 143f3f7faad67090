# tests/fuzz/fuzz.mk -- targets NAME_fuzz.c: with libFuzzer (`make fuzz`), or replaying files (`make fuzz-replay`, any compiler and SAN)
FUZZ_SECONDS ?= 60
FUZZ_MAIN ?= $(BUILD)/obj/tests/fuzz/replay.o
FUZZ_NAMES := $(patsubst tests/fuzz/%_fuzz.c,%,$(sort $(wildcard tests/fuzz/*_fuzz.c)))
FUZZ_BIN := $(FUZZ_NAMES:%=$(BUILD)/tests/fuzz/%_fuzz)

$(BUILD)/tests/fuzz/%_fuzz: tests/fuzz/%_fuzz.c $(BUILD)/obj/tests/fuzz/session.o $(BUILD)/obj/tests/fuzz/replay.o $(BUILD)/libkantor.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) $(LINK) -o $@ $< $(BUILD)/obj/tests/fuzz/session.o $(FUZZ_MAIN) $(BUILD)/libkantor.a $(LIBS)

fuzz-replay: $(FUZZ_BIN)
	@tools/fuzz.sh replay $(BUILD)/tests/fuzz

# builds with clang in a folder of its own and runs each target; one line a target
fuzz:
	@$(MAKE) --no-print-directory BUILD=build-fuzz CC=clang SAN=fuzzer OPT="-O1 -g" fuzz-build
	@tools/fuzz.sh run build-fuzz/tests/fuzz $(FUZZ_SECONDS) $(FUZZ_NAMES)

fuzz-build: $(FUZZ_BIN)
.SECONDARY: $(BUILD)/obj/tests/fuzz/session.o $(BUILD)/obj/tests/fuzz/replay.o
.PHONY: fuzz fuzz-build fuzz-replay

# micro benchmark of mail/mime: CPU time of what delivery derives
$(BUILD)/tests/bench/mime_bench: tests/bench/mime_bench.c $(BUILD)/libkantor.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) $(LINK) -o $@ $< $(BUILD)/libkantor.a $(LIBS)

bench-mime: $(BUILD)/tests/bench/mime_bench
	$(BUILD)/tests/bench/mime_bench
.PHONY: bench-mime
