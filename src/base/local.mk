# The base room: words every other room is written in.
noinst_LTLIBRARIES += src/base/libbase.la
ROOM_LIBS += src/base/libbase.la
src_base_libbase_la_SOURCES = \
	include/stepgate/base.h \
	src/base/alloc.c src/base/alloc.h \
	src/base/arena.c \
	src/base/base64.c src/base/base64.h \
	src/base/buf.c \
	src/base/check.h \
	src/base/civil.c src/base/civil.h \
	src/base/date.c \
	src/base/duration.c src/base/duration.h \
	src/base/error.c \
	src/base/hash.c src/base/hash.h \
	src/base/heap.c src/base/heap.h \
	src/base/hex.c src/base/hex.h \
	src/base/histogram.c src/base/histogram.h \
	src/base/id.c \
	src/base/list.h \
	src/base/log.c src/base/log.h \
	src/base/map.c src/base/map.h \
	src/base/os_disk.c src/base/os_disk.h \
	src/base/os_process.c src/base/os_process.h \
	src/base/os_random.c src/base/random.h \
	src/base/os_zone.c src/base/os_zone.h \
	src/base/pool.c src/base/pool.h \
	src/base/prometheus.c src/base/prometheus.h \
	src/base/rng.c src/base/rng.h \
	src/base/seed.c src/base/seed.h \
	src/base/str.c \
	src/base/ulid.c src/base/ulid.h \
	src/base/utf8.h
