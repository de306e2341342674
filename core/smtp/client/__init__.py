"""The SMTP client: connections that take mail by lease and deliver it, pipelined."""
