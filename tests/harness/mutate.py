"""Seeded mutation of sample inputs, for parser tests and the fuzzer."""
import random

PIECES = [b"", b"\r\n", b"\n", b"\r", b"\r\n.\r\n", b".", b"..", b" ", b"\t", b"\0", b"\xff", b"\xc3\xa9", b"<", b">", b"@",
          b":", b";", b",", b'"', b"\\", b"(", b")", b"[", b"]", b"=", b"--", b"+", b"A" * 70, b"9" * 20]


def mutant(rng, samples, longest=4096):
    """One input made from samples by a few cuts, insertions, changes, repetitions and splices."""
    data = bytearray(rng.choice(samples))
    for _ in range(rng.randint(1, 6)):
        at = rng.randint(0, len(data))
        to = min(len(data), at + rng.choice((1, 1, 2, 4, 16)))
        kind = rng.randrange(6)
        if kind == 0:
            del data[at:to]
        elif kind == 1:
            data[at:at] = rng.choice(PIECES)
        elif kind == 2 and at < len(data):
            data[at] = rng.randrange(256)
        elif kind == 3:
            data[at:at] = data[at:to] * rng.randint(1, 8)
        elif kind == 4:
            other = rng.choice(samples)
            cut = rng.randint(0, len(other))
            data[at:] = other[cut:]
        elif kind == 5 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
    return bytes(data[:longest])


def mutants(samples, count, seed=1):
    """`count` inputs, the same ones for the same seed."""
    rng = random.Random(seed)
    return (mutant(rng, samples) for _ in range(count))


def splits(data, limit=4096):
    """Every way to cut data in two."""
    return ((data[:at], data[at:]) for at in range(min(len(data), limit) + 1))
