# Fuzzers: programs with LLVMFuzzerTestOneInput, built when configured with --enable-fuzz; `make fuzz` runs them all.
# A corpus to start from may lie in tests/fuzz/corpus/<name>.
if ENABLE_FUZZ
FUZZERS += tests/fuzz/fuzz_json tests/fuzz/fuzz_duration tests/fuzz/fuzz_signature tests/fuzz/fuzz_key
FUZZERS += tests/fuzz/fuzz_events
FUZZERS += tests/fuzz/fuzz_config
endif
EXTRA_PROGRAMS += tests/fuzz/fuzz_json tests/fuzz/fuzz_duration tests/fuzz/fuzz_signature tests/fuzz/fuzz_key

tests_fuzz_fuzz_json_SOURCES = tests/fuzz/fuzz_json.c
tests_fuzz_fuzz_json_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_json_LDADD = src/json/libjson.la src/base/libbase.la $(DEP_LIBS)

tests_fuzz_fuzz_duration_SOURCES = tests/fuzz/fuzz_duration.c
tests_fuzz_fuzz_duration_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_duration_LDADD = src/base/libbase.la $(DEP_LIBS)

tests_fuzz_fuzz_signature_SOURCES = tests/fuzz/fuzz_signature.c
tests_fuzz_fuzz_signature_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_signature_LDADD = src/crypto/libcrypto_room.la src/base/libbase.la $(DEP_LIBS)

tests_fuzz_fuzz_key_SOURCES = tests/fuzz/fuzz_key.c
tests_fuzz_fuzz_key_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_key_LDADD = src/crypto/libcrypto_room.la src/base/libbase.la $(DEP_LIBS)

EXTRA_PROGRAMS += tests/fuzz/fuzz_events
tests_fuzz_fuzz_events_SOURCES = tests/fuzz/fuzz_events.c
tests_fuzz_fuzz_events_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_events_LDADD = src/server/libserver.la src/crypto/libcrypto_room.la src/json/libjson.la src/base/libbase.la $(DEP_LIBS)

EXTRA_PROGRAMS += tests/fuzz/fuzz_config
tests_fuzz_fuzz_config_SOURCES = tests/fuzz/fuzz_config.c
tests_fuzz_fuzz_config_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_config_LDADD = src/cli/libcli.la src/base/libbase.la $(DEP_LIBS)

if ENABLE_FUZZ
FUZZERS += tests/fuzz/fuzz_cel_parse tests/fuzz/fuzz_cel_eval tests/fuzz/fuzz_cel_interpolate
endif
EXTRA_PROGRAMS += tests/fuzz/fuzz_cel_parse tests/fuzz/fuzz_cel_eval tests/fuzz/fuzz_cel_interpolate
cel_room_libs = src/cel/libcel.la src/json/libjson.la src/base/libbase.la

tests_fuzz_fuzz_cel_parse_SOURCES = tests/fuzz/fuzz_cel_parse.c
tests_fuzz_fuzz_cel_parse_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_cel_parse_LDADD = $(cel_room_libs) $(DEP_LIBS)

tests_fuzz_fuzz_cel_eval_SOURCES = tests/fuzz/fuzz_cel_eval.c
tests_fuzz_fuzz_cel_eval_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_cel_eval_LDADD = $(cel_room_libs) $(DEP_LIBS)

tests_fuzz_fuzz_cel_interpolate_SOURCES = tests/fuzz/fuzz_cel_interpolate.c
tests_fuzz_fuzz_cel_interpolate_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_cel_interpolate_LDADD = $(cel_room_libs) $(DEP_LIBS)

if ENABLE_FUZZ
FUZZERS += tests/fuzz/fuzz_answer tests/fuzz/fuzz_ops tests/fuzz/fuzz_registration tests/fuzz/fuzz_envelope tests/fuzz/fuzz_fetch
endif
EXTRA_PROGRAMS += tests/fuzz/fuzz_answer tests/fuzz/fuzz_ops tests/fuzz/fuzz_registration tests/fuzz/fuzz_envelope tests/fuzz/fuzz_fetch

tests_fuzz_fuzz_answer_SOURCES = tests/fuzz/fuzz_answer.c
tests_fuzz_fuzz_answer_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_answer_LDADD = $(ROOM_LIBS) $(DEP_LIBS)

tests_fuzz_fuzz_ops_SOURCES = tests/fuzz/fuzz_ops.c
tests_fuzz_fuzz_ops_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_ops_LDADD = $(ROOM_LIBS) $(DEP_LIBS)

tests_fuzz_fuzz_registration_SOURCES = tests/fuzz/fuzz_registration.c
tests_fuzz_fuzz_registration_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_registration_LDADD = $(ROOM_LIBS) $(DEP_LIBS)

tests_fuzz_fuzz_envelope_SOURCES = tests/fuzz/fuzz_envelope.c
tests_fuzz_fuzz_envelope_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_envelope_LDADD = $(ROOM_LIBS) $(DEP_LIBS)

tests_fuzz_fuzz_fetch_SOURCES = tests/fuzz/fuzz_fetch.c
tests_fuzz_fuzz_fetch_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_fetch_LDADD = $(ROOM_LIBS) $(DEP_LIBS)
