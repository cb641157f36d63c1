# Unit tests of the sdk room.
check_PROGRAMS += tests/unit/sdk_test
UNIT_TESTS += tests/unit/sdk_test
tests_unit_sdk_test_SOURCES = \
	tests/unit/sdk_answer.c \
	tests/unit/sdk_app.c tests/unit/sdk_app.h \
	tests/unit/sdk_body.c \
	tests/unit/sdk_caller.c \
	tests/unit/sdk_fetch.c \
	tests/unit/sdk_fetcher.c \
	tests/unit/sdk_fixture.c tests/unit/sdk_fixture.h \
	tests/unit/sdk_judge.c \
	tests/unit/sdk_lines.c \
	tests/unit/sdk_memory.c \
	tests/unit/sdk_ops.c \
	tests/unit/sdk_registration.c \
	tests/unit/sdk_sync.c \
	tests/unit/sdk_url.c
tests_unit_sdk_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_sdk_test_LDADD = $(ROOM_LIBS) $(TEST_LIBS)
