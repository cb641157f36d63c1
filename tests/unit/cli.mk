# Unit tests of the cli room.
check_PROGRAMS += tests/unit/cli_test
UNIT_TESTS += tests/unit/cli_test
tests_unit_cli_test_SOURCES = \
	tests/unit/cli_config.c \
	tests/unit/cli_options.c \
	tests/unit/cli_service.c
tests_unit_cli_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_cli_test_LDADD = $(ALL_ROOM_LIBS) $(TEST_LIBS)
