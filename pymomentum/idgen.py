"""Text of the generated id lists (build/gen), from the rows that declare them."""
from pymomentum.hooks import HOOKS
from pymomentum.options import registry


def hook_ids():
    """HOOK_<NAME> in the order of a message's life, HOOK_COUNT."""
    lines = ["cdef enum:"]
    lines += [f"    HOOK_{h.name.upper()} = {i}" for i, h in enumerate(HOOKS)]
    return "\n".join([*lines, f"    HOOK_COUNT = {len(HOOKS)}", ""])


def files():
    """Map of file name to text."""
    return {"option_ids.pxi": registry.pxi(), "hook_ids.pxi": hook_ids()}
