# Unit tests of the engine room; see Makefile.am.
check_PROGRAMS += tests/unit/engine_test
UNIT_TESTS += tests/unit/engine_test
tests_unit_engine_test_SOURCES = \
	tests/sim/rig.c tests/sim/rig.h \
	tests/unit/engine_apps.c \
	tests/unit/engine_cancellations.c \
	tests/unit/engine_checkpoint.c \
	tests/unit/engine_ending.c \
	tests/unit/engine_endpoint.c \
	tests/unit/engine_fetch.c \
	tests/unit/engine_field.c \
	tests/unit/engine_fixture.c tests/unit/engine_fixture.h \
	tests/unit/engine_gate.c \
	tests/unit/engine_invoke.c \
	tests/unit/engine_loads.c \
	tests/unit/engine_loop.c \
	tests/unit/engine_parallel.c \
	tests/unit/engine_quirks.c \
	tests/unit/engine_sleep.c \
	tests/unit/engine_timeouts.c \
	tests/unit/engine_triggers.c \
	tests/unit/engine_waits.c
tests_unit_engine_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_engine_test_LDADD = src/store/libstore.la src/engine/libengine.la src/cel/libcel.la src/json/libjson.la src/base/libbase.la $(TEST_LIBS)
