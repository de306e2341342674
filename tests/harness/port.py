"""Ports for the servers of tests, no two at a time with the same one, in however many processes tests run.

A port is reserved by the name of an abstract socket, which the kernel takes back with the process at the latest.
"""
import collections
import random
import socket

PORTS = range(12000, 32000)         # below those that the kernel gives to clients
reserved = collections.deque(maxlen=100)            # the oldest is let go: no test uses so many


def free_port(addresses=("127.0.0.1",), ports=PORTS):
    """A port that is ours, and free on every address for TCP and UDP."""
    while True:
        port = random.choice(ports)
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0ecelerity test port {port}")
            for address in addresses:
                for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
                    with socket.socket(socket.AF_INET, kind) as s:
                        if kind == socket.SOCK_STREAM:
                            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                        s.bind((address, port))
        except OSError:
            name.close()
            continue
        if len(reserved) == reserved.maxlen:
            reserved[0].close()
        reserved.append(name)
        return port
