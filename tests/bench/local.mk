# tests/bench joins the build here; see Makefile.am.

EXTRA_PROGRAMS += tests/bench/bench_store
BENCHES += tests/bench/bench_store
tests_bench_bench_store_SOURCES = tests/bench/bench_store.c
tests_bench_bench_store_LDADD = src/store/libstore.la src/base/libbase.la $(DEP_LIBS)
