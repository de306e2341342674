"""Logs: records formatted on the loop, rings, one writer thread per log."""
