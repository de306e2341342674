"""Waiting for what other threads and processes do."""
import time


def until(predicate, timeout=10, what="condition"):
    """Call predicate until it is true and answer its value; AssertionError names `what` after timeout seconds."""
    end = time.monotonic() + timeout
    pause = 0.001
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"after {timeout} s still no {what() if callable(what) else what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


def fastest(action, enough, tries=4):
    """Call action until it took fewer seconds than enough; answers the least: a busy machine is slow, but not each time."""
    least = float("inf")
    for _ in range(tries):
        begin = time.monotonic()
        action()
        least = min(least, time.monotonic() - begin)
        if least < enough:
            break
    return least
