# The cel room: expressions. regex.cc is the only C++ in the tree.
noinst_LTLIBRARIES += src/cel/libcel.la
ROOM_LIBS += src/cel/libcel.la
src_cel_libcel_la_SOURCES = \
	include/stepgate/cel.h \
	src/cel/access.c src/cel/access.h \
	src/cel/arithmetic.c \
	src/cel/buckets.c src/cel/buckets.h \
	src/cel/build.c src/cel/build.h \
	src/cel/call.c \
	src/cel/casemap.def src/cel/deviations.def \
	src/cel/check.c src/cel/check.h \
	src/cel/convert.c \
	src/cel/eval.c src/cel/eval.h \
	src/cel/explain.c src/cel/explain.h \
	src/cel/extra.c \
	src/cel/function.c src/cel/function.h src/cel/functions.def \
	src/cel/index.c \
	src/cel/interpolate.c \
	src/cel/json.c src/cel/json.h \
	src/cel/lex.c src/cel/lex.h \
	src/cel/literal.c \
	src/cel/node.h \
	src/cel/number.c src/cel/number.h \
	src/cel/parse.c src/cel/parse.h \
	src/cel/policy.c \
	src/cel/problem.c src/cel/problem.h \
	src/cel/program.c \
	src/cel/regex.cc src/cel/regex.h \
	src/cel/resolve.c src/cel/resolve.h \
	src/cel/template.c src/cel/template.h \
	src/cel/text.c \
	src/cel/time.c src/cel/time.h \
	src/cel/unparse.c src/cel/unparse.h \
	src/cel/utf8.h \
	src/cel/value.c src/cel/value.h \
	src/cel/vectors.c src/cel/vectors.h \
	src/cel/zone.c
# Programs are linked by the C compiler, whose library for undefined behaviour lacks what C++ needs.
src_cel_libcel_la_CXXFLAGS = $(AM_CXXFLAGS) -fno-sanitize=undefined
