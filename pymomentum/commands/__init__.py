"""The executables, one file each."""
