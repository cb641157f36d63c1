# The cli room joins the build here; see Makefile.am.
