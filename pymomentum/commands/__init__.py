"""The executables, one file each."""
import os
import sys

READER_GONE = 141       # as the shell says of what SIGPIPE has ended


def run(main):
    """End the process with what `main` answers, quietly where the reader of its output has enough."""
    status = READER_GONE
    try:
        try:
            status = main()
        except SystemExit as e:
            status = e.code
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)
