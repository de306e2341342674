"""Messages: one object per recipient, ids, envelopes, shared bodies."""
