"""The SMTP server: one session per connection, a state machine over the read buffer."""
