# The engine room: the state machine.
noinst_LTLIBRARIES += src/engine/libengine.la
ROOM_LIBS += src/engine/libengine.la
src_engine_libengine_la_SOURCES = \
	src/engine/answer.c src/engine/answer.h \
	src/engine/answer_bytes.c \
	src/engine/app.c src/engine/app.h \
	src/engine/cancellation.c src/engine/cancellation.h \
	src/engine/checkpoint.c \
	src/engine/cursor.c src/engine/cursor.h \
	src/engine/endpoint.c src/engine/endpoint.h \
	src/engine/engine.c \
	src/engine/event.c src/engine/event.h \
	src/engine/explain.c src/engine/explain.h \
	src/engine/fetch.c src/engine/fetch.h \
	src/engine/gate.c src/engine/gate.h \
	src/engine/group.c src/engine/group.h \
	src/engine/inspect.c \
	src/engine/invoke.c src/engine/invoke.h \
	src/engine/job.c src/engine/job.h \
	src/engine/lifecycle.c \
	src/engine/names.c \
	src/engine/pause.c src/engine/pause.h \
	src/engine/run.c src/engine/run.h \
	src/engine/state.h \
	src/engine/step.c src/engine/step.h \
	src/engine/topic.c src/engine/topic.h \
	src/engine/timeout.c src/engine/timeout.h \
	src/engine/turn.c src/engine/turn.h \
	src/engine/wait.c src/engine/wait.h \
	src/engine/wake.c
