# The node room: threads, inbox, committing, start and stop.
noinst_LTLIBRARIES += src/node/libnode.la
PROGRAM_ROOM_LIBS += src/node/libnode.la
src_node_libnode_la_SOURCES = \
	src/node/clock.c src/node/clock.h \
	src/node/committer.c src/node/committer.h \
	src/node/hooks.c src/node/internal.h \
	src/node/housekeeping.c src/node/housekeeping.h \
	src/node/inbox.c src/node/inbox.h \
	src/node/load_runs.c src/node/load_runs.h src/node/loads.c src/node/loads.h \
	src/node/lookup.c src/node/lookup.h \
	src/node/loop.c src/node/loop.h \
	src/node/meters.c src/node/meters.h \
	src/node/metrics.c src/node/metrics.h \
	src/node/node.c src/node/node.h \
	src/node/outbox.c src/node/outbox.h \
	src/node/pins.c src/node/pins.h \
	src/node/warm.c src/node/warm.h \
	src/node/restore.c src/node/restore.h \
	src/node/retention.c src/node/retention.h \
	src/node/status.c \
	src/node/trim.c src/node/trim.h
