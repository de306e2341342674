"""Hooks and phases: where policy meets a message."""
