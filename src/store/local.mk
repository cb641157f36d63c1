# The store room joins the build here; see Makefile.am.
