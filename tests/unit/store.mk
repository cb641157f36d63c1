# Unit tests of the store room; see Makefile.am.
