# Unit tests of the cli room; see Makefile.am.
