# The json room: canonical JSON, readers and writers on bytes.
noinst_LTLIBRARIES += src/json/libjson.la
ROOM_LIBS += src/json/libjson.la
src_json_libjson_la_SOURCES = \
	include/stepgate/json.h \
	src/json/canonical.c \
	src/json/number.c src/json/powers_of_ten.h \
	src/json/order.c src/json/order.h \
	src/json/reader.c \
	src/json/utf16.c src/json/utf16.h \
	src/json/write.c
