"""The executables that need no server."""
