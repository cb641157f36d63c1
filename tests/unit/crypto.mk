# Unit tests of the crypto room; see Makefile.am.
check_PROGRAMS += tests/unit/crypto_test
UNIT_TESTS += tests/unit/crypto_test
tests_unit_crypto_test_SOURCES = \
	tests/unit/crypto_fixture.h \
	tests/unit/crypto_signing.c \
	tests/unit/crypto_token.c \
	tests/unit/crypto_vectors.c
tests_unit_crypto_test_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_crypto_test_LDADD = src/crypto/libcrypto_room.la src/json/libjson.la src/base/libbase.la $(TEST_LIBS)
