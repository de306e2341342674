"""TLS: contexts made once per set of parameters."""
