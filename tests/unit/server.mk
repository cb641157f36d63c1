# Unit tests of the server room; see Makefile.am.
