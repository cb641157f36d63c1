# Unit tests of the sdk room; see Makefile.am.
