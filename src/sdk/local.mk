# The sdk room joins the build here; see Makefile.am.
