"""Defaults that more than the option itself decides."""
import os

POOLS = {"IO": 50, "CPU": 4, "SwapIn": 5, "SwapOut": 20, "SpoolIn": 1, "Unlink": 6, "Batch_Unlink": 4, "Close": 0}


def loops():
    """Event loops of one that does not say how many."""
    return max(1, (os.cpu_count() or 1) * 3 // 4)


def mailerdaemon(hostname):
    """The sender of bounces, on the host that `hostname` names."""
    return f"mailer-daemon@{hostname}"
