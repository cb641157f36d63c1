# The server room joins the build here; see Makefile.am.
