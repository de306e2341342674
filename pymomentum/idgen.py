"""Text of the generated id lists (build/gen), from the rows that declare them."""
from pymomentum.options import registry


def files():
    """Map of file name to text."""
    return {"option_ids.pxi": registry.pxi()}
