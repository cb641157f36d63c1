# The cel room joins the build here; see Makefile.am.
