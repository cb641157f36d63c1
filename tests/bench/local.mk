# tests/bench joins the build here; see Makefile.am.
