# Unit tests of the cron room; see Makefile.am.
