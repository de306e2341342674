"""Line editing at ec_console's prompt: by libedit, with its keys and .editrc, else by Python's readline.

Both keep the history in one file, a line each, and complete commands with TAB.
"""
import codecs
import os
import select
import signal
import sys

LIBRARY = "libedit.so.2"
HISTORY_LINES = 1000
CALLS = """
    typedef struct editline EditLine;
    typedef struct history History;
    typedef struct { int num; const char *str; } HistEvent;
    typedef struct { const char *buffer, *cursor, *lastchar; } LineInfo;
    EditLine *el_init(const char *, void *, void *, void *);
    void el_end(EditLine *);
    void el_reset(EditLine *);
    void el_resize(EditLine *);
    const char *el_gets(EditLine *, int *);
    int el_set(EditLine *, int, ...);
    int el_source(EditLine *, const char *);
    int el_insertstr(EditLine *, const char *);
    const LineInfo *el_line(EditLine *);
    History *history_init(void);
    void history_end(History *);
    int history(History *, HistEvent *, int, ...);
    void *fdopen(int, const char *);
    int fclose(void *);
"""
EL_PROMPT, EL_EDITOR, EL_BIND, EL_ADDFN, EL_HIST, EL_GETCFN = 0, 2, 4, 9, 10, 13       # <histedit.h>
H_SETSIZE, H_ENTER, H_SETUNIQUE = 1, 10, 20
CC_REFRESH, CC_REDISPLAY, CC_ERROR = 4, 8, 6


def editor(names, path):
    """Answer an editor that completes names and keeps its history at path."""
    try:
        return LibEdit(names, path)
    except (ImportError, OSError):
        return ReadLine(names, path)


def common(names):
    """Answer how all of them begin."""
    return os.path.commonprefix(names)


class LibEdit:
    """libedit, for a terminal on stdin and stdout; OSError where it is not installed."""

    def __init__(self, names, path):
        import cffi
        self.ffi = cffi.FFI()
        self.ffi.cdef(CALLS)
        self.lib = self.ffi.dlopen(LIBRARY)
        self.libc = self.ffi.dlopen(None)
        self.names = names
        self.path = path
        self.lines = read_history(path)
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.interrupted = False
        self.wake, self.waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.shown = b""                # the prompt, as long as libedit may look at it
        self.files = [self.libc.fdopen(os.dup(fd), mode) for fd, mode in ((0, b"r"), (1, b"w"), (2, b"w"))]
        self.line = self.lib.el_init(b"ec_console", *self.files)
        if self.line == self.ffi.NULL:
            raise OSError("libedit cannot use this terminal")
        self.history = self.lib.history_init()
        self.event = self.ffi.new("HistEvent *")
        self.lib.history(self.history, self.event, H_SETSIZE, self.ffi.cast("int", HISTORY_LINES))
        self.lib.history(self.history, self.event, H_SETUNIQUE, self.ffi.cast("int", 1))
        for line in self.lines:
            self.enter(line)
        self.prompt = self.ffi.callback("char *(EditLine *)", lambda line: self.shown)
        self.getc = self.ffi.callback("int(EditLine *, wchar_t *)", self.on_key)
        self.complete = self.ffi.callback("unsigned char(EditLine *, int)", self.on_complete)
        self.set(EL_PROMPT, self.prompt)
        self.set(EL_GETCFN, self.getc)
        self.set(EL_EDITOR, self.text("emacs"))
        self.set(EL_HIST, self.ffi.addressof(self.lib, "history"), self.history)
        self.set(EL_ADDFN, self.text("ec-complete"), self.text("complete a command"), self.complete)
        self.set(EL_BIND, self.text("^I"), self.text("ec-complete"), self.ffi.NULL)
        self.lib.el_source(self.line, self.ffi.NULL)            # .editrc has the last word

    def set(self, what, *values):
        self.lib.el_set(self.line, what, *values)

    def text(self, word):
        """Make a C string that lives as long as the editor."""
        kept = self.ffi.new("char[]", word.encode())
        self.__dict__.setdefault("kept", []).append(kept)
        return kept

    def enter(self, line):
        self.lib.history(self.history, self.event, H_ENTER, self.ffi.new("char[]", line.encode("utf-8", "surrogateescape")))

    def on_key(self, line, out):
        """Read a character, or the end of the line where ^C was typed: libedit's own way would miss the first."""
        try:
            while True:
                if self.wake in select.select([0, self.wake], [], [])[0]:
                    os.read(self.wake, 512)
                    self.interrupted = True
                    return -1
                byte = os.read(0, 1)
                if not byte:
                    return 0
                if text := self.decoder.decode(byte):
                    out[0] = text[0]
                    return 1
        except OSError:
            return -1

    def on_complete(self, line, key):
        info = self.lib.el_line(line)
        said = self.ffi.buffer(info.buffer, info.cursor - info.buffer)[:].decode("utf-8", "replace")
        found = [name for name in self.names if name.startswith(said)]
        further = common(found)[len(said):]
        if further:
            self.lib.el_insertstr(line, further.encode())
            return CC_REFRESH
        if len(found) < 2:
            return CC_ERROR
        os.write(1, ("\n" + "\n".join(found) + "\n").encode())
        return CC_REDISPLAY

    def read(self, prompt):
        """Read a line; EOFError at the end of the input, KeyboardInterrupt on ^C."""
        count = self.ffi.new("int *")
        self.shown = self.ffi.new("char[]", prompt.encode())
        self.lib.el_resize(self.line)
        self.interrupted = False
        handler = signal.signal(signal.SIGINT, lambda *_: None)     # the pipe tells
        waker = signal.set_wakeup_fd(self.waker, warn_on_full_buffer=False)
        try:
            got = self.lib.el_gets(self.line, count)
        finally:
            signal.set_wakeup_fd(waker)
            signal.signal(signal.SIGINT, handler)
        if self.interrupted:
            self.lib.el_reset(self.line)
            raise KeyboardInterrupt
        if got == self.ffi.NULL or count[0] <= 0:
            raise EOFError
        line = self.ffi.string(got).decode("utf-8", "surrogateescape").strip()
        if line and self.lines[-1:] != [line]:
            self.lines.append(line)
            self.enter(line)
        return line

    def close(self):
        """Give the terminal back and keep the history."""
        self.lib.el_end(self.line)
        self.lib.history_end(self.history)
        for file in self.files:
            self.libc.fclose(file)
        os.close(self.wake)
        os.close(self.waker)
        write_history(self.path, self.lines)


class ReadLine:
    """Python's readline, whatever library it is built with."""

    def __init__(self, names, path):
        import readline
        self.path = path
        self.readline = readline
        self.lines = read_history(path)
        for line in self.lines:
            readline.add_history(line)
        readline.set_auto_history(False)
        readline.set_completer_delims("")           # the whole line is completed: commands have spaces
        readline.set_completer(lambda said, n: ([name for name in names if name.startswith(said)] + [None])[n])
        libedit = "libedit" in (readline.__doc__ or "")
        readline.parse_and_bind("bind ^I rl_complete" if libedit else "tab: complete")

    def read(self, prompt):
        """Read a line; EOFError at the end of the input, KeyboardInterrupt on ^C."""
        line = input(prompt).strip()
        if line and self.lines[-1:] != [line]:
            self.lines.append(line)
            self.readline.add_history(line)
        return line

    def close(self):
        """Keep the history."""
        write_history(self.path, self.lines)


def read_history(path):
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:
            return [line for line in stream.read().splitlines() if line][-HISTORY_LINES:]
    except OSError:
        return []


def write_history(path, lines):
    """Keep the last lines; where that is not possible they are lost."""
    try:
        with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w", encoding="utf-8",
                  errors="surrogateescape") as stream:
            stream.writelines(line + "\n" for line in lines[-HISTORY_LINES:])
    except OSError as e:
        print(f"cannot keep the history in {path}: {e.strerror}", file=sys.stderr)
