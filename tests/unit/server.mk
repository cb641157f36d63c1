# Unit tests of the server room, over real sockets, with a store in memory and without an engine.
check_PROGRAMS += tests/unit/server_test
UNIT_TESTS += tests/unit/server_test
tests_unit_server_test_SOURCES = \
	tests/unit/server_api.c \
	tests/unit/server_apps.c \
	tests/unit/server_cancellations.c \
	tests/unit/server_endpoints.c \
	tests/unit/server_event_decode.c \
	tests/unit/server_events.c \
	tests/unit/server_fixture.c tests/unit/server_fixture.h \
	tests/unit/server_http.c \
	tests/unit/server_records.c tests/unit/server_records.h \
	tests/unit/server_router.c
tests_unit_server_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_server_test_LDADD = $(ALL_ROOM_LIBS) $(TEST_LIBS)
