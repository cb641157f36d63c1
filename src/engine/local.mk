# The engine room joins the build here; see Makefile.am.
