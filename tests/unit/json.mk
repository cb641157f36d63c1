# Unit tests of the json room; see Makefile.am.
check_PROGRAMS += tests/unit/json_test
UNIT_TESTS += tests/unit/json_test
EXTRA_DIST += tests/vectors/jcs
tests_unit_json_test_SOURCES = \
	tests/unit/json_agreement.c \
	tests/unit/json_canonical.c \
	tests/unit/json_fixture.h \
	tests/unit/json_number.c \
	tests/unit/json_reader.c
tests_unit_json_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_json_test_LDADD = src/json/libjson.la src/base/libbase.la $(TEST_LIBS)
