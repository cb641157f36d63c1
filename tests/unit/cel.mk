# Unit tests of the cel room; see Makefile.am.
