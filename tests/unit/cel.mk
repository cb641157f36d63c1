# Unit tests of the cel room; see Makefile.am.
check_PROGRAMS += tests/unit/cel_test
UNIT_TESTS += tests/unit/cel_test
EXTRA_DIST += tests/vectors/cel
tests_unit_cel_test_SOURCES = \
	tests/unit/cel_errors.c \
	tests/unit/cel_fixture.c tests/unit/cel_fixture.h \
	tests/unit/cel_generate.c tests/unit/cel_generate.h \
	tests/unit/cel_index.c \
	tests/unit/cel_index_property.c \
	tests/unit/cel_interpolate.c \
	tests/unit/cel_language.c \
	tests/unit/cel_limits.c \
	tests/unit/cel_memory.c \
	tests/unit/cel_quirks.c \
	tests/unit/cel_time.c \
	tests/unit/cel_vectors.c
tests_unit_cel_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_cel_test_LDADD = src/cel/libcel.la src/json/libjson.la src/base/libbase.la $(TEST_LIBS)
