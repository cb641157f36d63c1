# The cron room joins the build here; see Makefile.am.
