# Unit tests of the json room; see Makefile.am.
