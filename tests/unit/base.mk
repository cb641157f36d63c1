# Unit tests of the base room; see Makefile.am.
check_PROGRAMS += tests/unit/base_test
UNIT_TESTS += tests/unit/base_test
tests_unit_base_test_SOURCES = \
	tests/unit/base_collections.c \
	tests/unit/base_id.c \
	tests/unit/base_log.c \
	tests/unit/base_memory.c \
	tests/unit/base_metrics.c \
	tests/unit/base_text.c \
	tests/unit/base_time.c
tests_unit_base_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_base_test_LDADD = src/base/libbase.la $(TEST_LIBS)
