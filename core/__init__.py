"""The engine: mail transport in compiled Cython, on libuv, without the GIL."""
