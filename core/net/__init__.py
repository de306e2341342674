"""Sockets: addresses, streams with or without TLS, listeners."""
