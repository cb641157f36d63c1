# Unit tests of the base room; see Makefile.am.
