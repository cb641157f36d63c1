# The node room joins the build here; see Makefile.am.
