# Unit tests of the node room; see Makefile.am.
