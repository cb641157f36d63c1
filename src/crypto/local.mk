# The crypto room joins the build here; see Makefile.am.
