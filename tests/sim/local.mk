# tests/sim joins the build here; see Makefile.am.
