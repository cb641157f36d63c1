# The crypto room: signing, bearer tokens, hashes. Named so as not to be taken for OpenSSL's libcrypto.
noinst_LTLIBRARIES += src/crypto/libcrypto_room.la
ROOM_LIBS += src/crypto/libcrypto_room.la
src_crypto_libcrypto_room_la_SOURCES = \
	include/stepgate/crypto.h \
	src/crypto/hash.c src/crypto/hash.h \
	src/crypto/secret.c \
	src/crypto/signature.c \
	src/crypto/signing_key.c \
	src/crypto/token.c
