# The simulator: worlds of engine, store, SDKs and faults; see tests/sim/sim.c.
#
#     make sim SEEDS=10000        more worlds than `make check` lives in
SIM_SOURCES = \
	tests/sim/fetches.c \
	tests/sim/oracle.c tests/sim/oracle.h \
	tests/sim/people.c \
	tests/sim/rig.c tests/sim/rig.h \
	tests/sim/scenario.h tests/sim/scenarios.c \
	tests/sim/script.c tests/sim/script.h \
	tests/sim/sdk.c \
	tests/sim/sim.c \
	tests/sim/verdict.c \
	tests/sim/world.c tests/sim/world.h
SIM_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests
SIM_LDADD = src/store/libstore.la src/engine/libengine.la src/cel/libcel.la src/json/libjson.la src/base/libbase.la $(DEP_LIBS)

check_PROGRAMS += tests/sim/sim
SIM_TESTS += tests/sim/sim
tests_sim_sim_SOURCES = $(SIM_SOURCES)
tests_sim_sim_CPPFLAGS = $(SIM_CPPFLAGS)
tests_sim_sim_LDADD = $(SIM_LDADD)

SEEDS = 1000
SIM_JOBS = 2
sim: tests/sim/sim$(EXEEXT)
	tests/sim/sim$(EXEEXT) --seeds $(SEEDS) --jobs $(SIM_JOBS)

# Known bugs, each put into a copy of one source file: the simulator must find every one. ONLY='name name' tries some.
mutants: tests/sim/sim$(EXEEXT)
	SRCDIR='$(srcdir)' COMPILE='$(CC) $(DEFS) $(SIM_CPPFLAGS) $(CPPFLAGS) $(AM_CFLAGS) $(CFLAGS)' OBJECTS='$(tests_sim_sim_OBJECTS)' \
		LIBS='src/store/.libs/libstore.a src/engine/.libs/libengine.a src/cel/.libs/libcel.a src/json/.libs/libjson.a src/base/.libs/libbase.a $(AM_LDFLAGS) $(LDFLAGS) $(DEP_LIBS) $(LIBS)' \
		ONLY='$(ONLY)' perl $(srcdir)/tests/sim/mutants
CLEANFILES += mutants/*

# Which lines of the engine the simulator executes, in a build of its own.
COVERAGE_CONFIGURE = $(abs_top_srcdir)/configure --disable-shared --enable-static CC='$(CC)' CXX='$(CXX)' CFLAGS='-O0 -g --coverage' \
	CXXFLAGS='-O0 -g --coverage' LDFLAGS=--coverage
sim-coverage:
	$(MKDIR_P) coverage
	cd coverage && { test -f Makefile || $(COVERAGE_CONFIGURE); } && $(MAKE) $(AM_MAKEFLAGS) tests/sim/sim$(EXEEXT) && \
		{ find . -name '*.gcda' -exec rm -f {} +; } && tests/sim/sim$(EXEEXT) --seeds $(SEEDS) && \
		$(SHELL) $(abs_top_srcdir)/tests/sim/coverage $(abs_top_srcdir)

EXTRA_DIST += tests/sim/mutants tests/sim/mutants.txt tests/sim/coverage
.PHONY: sim mutants sim-coverage
