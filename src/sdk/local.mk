# The sdk room: speaking to SDKs. The first half is pure (bytes in, structs out); the second needs libcurl and threads.
noinst_LTLIBRARIES += src/sdk/libsdk.la
ROOM_LIBS += src/sdk/libsdk.la
src_sdk_libsdk_la_SOURCES = \
	src/sdk/address.c src/sdk/address.h \
	src/sdk/answer.c src/sdk/answer.h \
	src/sdk/answer_explain.c src/sdk/answer_explain.h \
	src/sdk/body.c src/sdk/body.h \
	src/sdk/envelope.c src/sdk/envelope.h \
	src/sdk/event_read.c \
	src/sdk/expression.c src/sdk/expression.h \
	src/sdk/fetch_request.c src/sdk/fetch_request.h \
	src/sdk/fetch_result.c src/sdk/fetch_result.h \
	src/sdk/function_check.h \
	src/sdk/function_config.c src/sdk/function_config.h \
	src/sdk/function_limits.c \
	src/sdk/headers.c src/sdk/headers.h \
	src/sdk/judge.c src/sdk/judge.h \
	src/sdk/ops.c src/sdk/ops.h \
	src/sdk/registration.c src/sdk/registration.h \
	src/sdk/unapplied.c src/sdk/unapplied.h \
	src/sdk/url.c src/sdk/url.h \
	src/sdk/call.c src/sdk/call.h \
	src/sdk/endpoint_call.c src/sdk/endpoint_call.h \
	src/sdk/caller.c src/sdk/caller.h \
	src/sdk/discovery.c src/sdk/discovery.h \
	src/sdk/exchange.c src/sdk/exchange.h \
	src/sdk/fetch_transfer.c src/sdk/fetch_transfer.h \
	src/sdk/fetcher.c src/sdk/fetcher.h \
	src/sdk/http.c src/sdk/http.h \
	src/sdk/introspect.c src/sdk/introspect.h \
	src/sdk/lines.c src/sdk/lines.h \
	src/sdk/place.c src/sdk/place.h \
	src/sdk/posting.c src/sdk/posting.h \
	src/sdk/sync.c src/sdk/sync.h \
	src/sdk/sync_put.c src/sdk/sync_put.h
