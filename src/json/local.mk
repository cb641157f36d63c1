# The json room joins the build here; see Makefile.am.
