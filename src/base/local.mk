# The base room joins the build here; see Makefile.am.
