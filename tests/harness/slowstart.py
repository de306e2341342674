"""Keeps a server from reading its spool until the file that EC_READ names is there.

Loaded by `debug_flags { extensions = ( tests.harness.slowstart ) }`.
"""
import os
import time

from pymomentum.core.queue import restore


def start():
    read = restore.restore

    def wait(*args):
        while not os.path.exists(os.environ["EC_READ"]):
            time.sleep(0.01)
        return read(*args)
    restore.restore = wait
