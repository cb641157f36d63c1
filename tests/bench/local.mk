# tests/bench joins the build here; see Makefile.am.

EXTRA_PROGRAMS += tests/bench/bench_store
BENCHES += tests/bench/bench_store
tests_bench_bench_store_SOURCES = tests/bench/bench_store.c
tests_bench_bench_store_LDADD = src/store/libstore.la src/base/libbase.la $(DEP_LIBS)

# Measures ./stepgate from outside.
EXTRA_PROGRAMS += tests/bench/bench_node
BENCHES += tests/bench/bench_node
tests_bench_bench_node_SOURCES = tests/bench/bench_node.c tests/bench/world.c tests/bench/world.h
tests_bench_bench_node_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests
tests_bench_bench_node_LDADD = src/base/libbase.la $(DEP_LIBS)

EXTRA_PROGRAMS += tests/bench/bench_cel
BENCHES += tests/bench/bench_cel
tests_bench_bench_cel_SOURCES = tests/bench/bench_cel.c
tests_bench_bench_cel_LDADD = src/cel/libcel.la src/json/libjson.la src/base/libbase.la $(DEP_LIBS)

# A million sleeping runs: memory, start, punctuality.
EXTRA_PROGRAMS += tests/bench/bench_sleepers
BENCHES += tests/bench/bench_sleepers
tests_bench_bench_sleepers_SOURCES = tests/bench/bench_sleepers.c tests/bench/world.c tests/bench/world.h
tests_bench_bench_sleepers_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests
tests_bench_bench_sleepers_LDADD = $(ROOM_LIBS) $(DEP_LIBS)

# What it costs in memory to serve what is as large as the limits allow; fails when that is too much.
EXTRA_PROGRAMS += tests/bench/bench_large
BENCHES += tests/bench/bench_large
tests_bench_bench_large_SOURCES = tests/bench/bench_large.c tests/bench/world.c tests/bench/world.h
tests_bench_bench_large_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests
tests_bench_bench_large_LDADD = src/base/libbase.la $(DEP_LIBS)
