# The server room: HTTP in, JSON out.
noinst_LTLIBRARIES += src/server/libserver.la
PROGRAM_ROOM_LIBS += src/server/libserver.la
src_server_libserver_la_SOURCES = \
	src/server/admin.c \
	src/server/admin_run.c \
	src/server/admin_server.c \
	src/server/api_events.c \
	src/server/auth.c src/server/auth.h \
	src/server/cancellations.c \
	src/server/catalog.c src/server/catalog.h \
	src/server/checkpoint.c \
	src/server/dev.c \
	src/server/event_decode.c src/server/event_decode.h \
	src/server/event_sessions.c src/server/event_sessions.h \
	src/server/endpoint_decode.c src/server/endpoint_decode.h \
	src/server/endpoints.c \
	src/server/events.c \
	src/server/handlers.h \
	src/server/health.c \
	src/server/held.c src/server/held.h \
	src/server/internal.h \
	src/server/limits.h \
	src/server/listen.c src/server/listen.h \
	src/server/output.c src/server/output.h \
	src/server/page.c \
	src/server/register.c \
	src/server/request.c src/server/request.h \
	src/server/respond.c src/server/respond.h \
	src/server/router.c src/server/router.h \
	src/server/run_json.h \
	src/server/runs.c \
	src/server/send.c src/server/send.h \
	src/server/server.c src/server/server.h \
	src/server/invoke.c \
	src/server/signals.c \
	src/server/stream.c src/server/stream.h \
	src/server/tokens.c src/server/tokens.h \
	src/server/watch.c
