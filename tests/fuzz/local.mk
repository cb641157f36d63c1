# tests/fuzz joins the build here; see Makefile.am.
