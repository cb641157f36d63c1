# Unit tests of the node room, and of the pool of readers.
check_PROGRAMS += tests/unit/node_test
UNIT_TESTS += tests/unit/node_test
tests_unit_node_test_SOURCES = \
	tests/unit/node_clock.c \
	tests/unit/node_committer.c \
	tests/unit/node_fixture.h \
	tests/unit/node_inbox.c \
	tests/unit/node_lookup.c \
	tests/unit/node_loop.c \
	tests/unit/node_meters.c \
	tests/unit/node_metrics.c \
	tests/unit/node_pool.c \
	tests/unit/node_retention.c \
	tests/unit/sdk_app.c tests/unit/sdk_app.h
tests_unit_node_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_node_test_LDADD = $(ALL_ROOM_LIBS) $(TEST_LIBS)
