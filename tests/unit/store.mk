# Unit tests of the store room.
check_PROGRAMS += tests/unit/store_test
UNIT_TESTS += tests/unit/store_test
tests_unit_store_test_SOURCES = \
	tests/unit/store_behaviour.c \
	tests/unit/store_crash.c \
	tests/unit/store_differential.c \
	tests/unit/store_fault_vfs.c tests/unit/store_fault_vfs.h \
	tests/unit/store_faults.c \
	tests/unit/store_fixture.c tests/unit/store_fixture.h \
	tests/unit/store_kinds.c \
	tests/unit/store_large.c \
	tests/unit/store_memory.c \
	tests/unit/store_sqlite.c
tests_unit_store_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_store_test_LDADD = src/store/libstore.la src/base/libbase.la $(TEST_LIBS)
