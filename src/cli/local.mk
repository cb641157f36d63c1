# The cli room: a library, so that its tests can link it, and the program.
noinst_LTLIBRARIES += src/cli/libcli.la
PROGRAM_ROOM_LIBS += src/cli/libcli.la
src_cli_libcli_la_SOURCES = \
	src/cli/cel.c \
	src/cli/command.h \
	src/cli/config.c src/cli/config.h \
	src/cli/doctor.c src/cli/doctor.h \
	src/cli/doctor_apps.c \
	src/cli/help.c \
	src/cli/http.c src/cli/http.h \
	src/cli/notify.c src/cli/notify.h \
	src/cli/options.c src/cli/options.def src/cli/options.h \
	src/cli/run.c \
	src/cli/send.c \
	src/cli/serve.c \
	src/cli/watch.c src/cli/watch.h

bin_PROGRAMS += stepgate
stepgate_SOURCES = src/cli/main.c
stepgate_LDADD = $(ALL_ROOM_LIBS) $(DEP_LIBS)
