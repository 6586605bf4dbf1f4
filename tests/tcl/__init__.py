"""Redis's own Tcl suite against this server; see __main__.py."""
