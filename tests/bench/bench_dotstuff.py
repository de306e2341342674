"""Scanning DATA of 76-column text and three hostile bodies, one JSON line: GB/s each."""
import json
import time

from pymomentum.core.smtp.dotstuff import scan

CHUNK, TIMES = 65520, 4000
BODIES = {"text": b"x" * 76 + b"\r\n", "lf": b"\n", "crlf": b"\r\n", "dots": b"\r\n..", "cr": b"\r"}


def rate(line):
    chunk = (line * CHUNK)[:CHUNK // len(line) * len(line)]
    begin = time.perf_counter()
    scan((chunk for _ in range(TIMES)), keep=False)
    return round(len(chunk) * TIMES / (time.perf_counter() - begin) / 1e9, 3)


if __name__ == "__main__":
    print(json.dumps({"bench": "dotstuff", **{f"{name}_gb_s": rate(line) for name, line in BODIES.items()}}))
