"""Keeps the GIL for a while in a server, as a module that computes without letting go does.

Loaded by `debug_flags { extensions = ( tests.harness.hold ) }`.  Once the file that EC_HOLD names is there,
its content is the number of seconds; the file is removed as the GIL is taken.
"""
import ctypes
import os
import threading
import time


def hold(path):
    usleep = ctypes.PyDLL(None).usleep          # PyDLL: the GIL is not released around the call
    while not os.path.exists(path):
        time.sleep(0.01)
    with open(path) as stream:
        seconds = float(stream.read())
    os.unlink(path)
    usleep(int(seconds * 1e6))


def start():
    threading.Thread(target=hold, args=(os.environ["EC_HOLD"],), daemon=True).start()
