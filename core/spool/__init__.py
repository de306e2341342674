"""The spool: one log per disk, group commit, oldest-first recycling.  docs/spool.md gives the format."""
