# Unit tests of the crypto room; see Makefile.am.
