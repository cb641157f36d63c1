# The store room: the interface, the table of kinds, and the stores in memory and in SQLite.
noinst_LTLIBRARIES += src/store/libstore.la
ROOM_LIBS += src/store/libstore.la
src_store_libstore_la_SOURCES = \
	src/store/backend.h \
	src/store/dirlock.c src/store/dirlock.h \
	src/store/kinds.c \
	src/store/memory.c src/store/memory.h \
	src/store/memory_tree.c src/store/memory_tree.h \
	src/store/pool.c src/store/pool.h \
	src/store/sqlite.c src/store/sqlite.h \
	src/store/sqlite_checkpoint.c \
	src/store/sqlite_large.c src/store/sqlite_large.h \
	src/store/sqlite_reader.c \
	src/store/sqlite_schema.c src/store/sqlite_schema.h \
	src/store/sqlite_sql.c src/store/sqlite_sql.h \
	src/store/store.c
