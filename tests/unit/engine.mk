# Unit tests of the engine room; see Makefile.am.
