"""Keeps a server running: restart after a crash, watchdog, poison guard.

One thread that sleeps in poll.  The server is a child in a process group of its
own and gets SIGTERM when the supervisor dies.  A loop whose heartbeat stands
still is hung: the child writes its stacks to stderr on SIGUSR2 and is killed.
Spool sequences in hand at two crashes go to quarantine.  What was found and done
stands in the paniclog, with the child's last words.
"""
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections import Counter, deque

from pymomentum.quarantine import Quarantine
from pymomentum.watch import ENVIRONMENT, Watch

LAST_LINES = 400            # of the child's stderr, for the paniclog
MAX_LINE = 2000
DUMP_SECONDS = 2            # for writing the stacks
ABORT_SECONDS = 20          # for dying of SIGABRT, with a core
PR_SET_PDEATHSIG = 1
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


class Supervisor:
    """Runs a command until it ends well or we are told to stop; times in seconds."""

    def __init__(self, command, *, paniclog=None, spoolbase=None, watchdog=60, first_wait=1, longest_wait=60,
                 steady=300, environment=None, echo=True, stdout=None, on_up=None):
        self.command = command
        self.paniclog = paniclog
        self.spoolbase = spoolbase
        self.watchdog = watchdog
        self.first_wait = first_wait        # before the first restart; doubles
        self.longest_wait = longest_wait
        self.steady = steady                # so long up and the wait begins anew
        self.environment = environment or {}
        self.echo = echo                    # the child's stderr goes to ours
        self.stdout = stdout                # the child's, as Popen wants it
        self.on_up = on_up                  # called once, when the server has started
        self.watch = Watch()
        self.suspects = Counter()           # spool sequence -> crashes it was in hand at
        self.stops = 0                      # SIGTERMs seen
        self.stop_sent = 0                  # when the last went to the child
        self.was_up = False
        self.child = None
        self.lines = deque(maxlen=LAST_LINES)
        self.partial = b""
        self.wake, self.waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def run(self):
        """Answer the exit code for the whole: 0 after a stop, else the child's of a start that failed."""
        before = {number: signal.signal(number, lambda *_: None) for number in SIGNALS}
        wakeup = signal.set_wakeup_fd(self.waker, warn_on_full_buffer=False)
        try:
            return self.supervise()
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)

    def supervise(self):
        wait = self.first_wait
        while not self.stops:
            started = time.monotonic()
            self.start()
            why = self.attend()
            up = time.monotonic() - started
            if why is None:
                return 0
            if not self.was_up and self.child.returncode > 0:
                return self.child.returncode        # it said why on stderr
            self.guard()
            if up >= self.steady:
                wait = self.first_wait
            if self.stops:
                self.panic(f"server (pid {self.child.pid}) {why} while it stopped")
                break
            self.panic(f"server (pid {self.child.pid}) {why} after {up:.0f} s; next start in {wait:g} s")
            self.sleep(wait)
            wait = min(wait * 2, self.longest_wait)
        return 0

    def start(self):
        """Start the child."""
        libc = ctypes.CDLL(None)
        self.watch.clear()
        self.lines.clear()
        self.partial = b""

        def in_child():
            os.setpgid(0, 0)                # ^C in a terminal is ours to pass on
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        environment = {**os.environ, **self.environment, ENVIRONMENT: self.watch.path, "PYTHONFAULTHANDLER": "1"}
        self.child = subprocess.Popen(self.command, env=environment, preexec_fn=in_child, stdin=subprocess.DEVNULL,
                                      stdout=self.stdout, stderr=subprocess.PIPE, pass_fds=[self.watch.fd])
        os.set_blocking(self.child.stderr.fileno(), False)

    def attend(self):
        """Be with the child until it ends; answers None for a good end, else what happened to it."""
        pause = max(0.05, min(1.0, self.watchdog / 4))
        before, seen = time.monotonic(), self.watch.heartbeats()
        still = [0.0] * len(seen)           # seconds each loop has stood still
        while self.child.poll() is None:
            self.wait(0.1 if self.on_up else pause)
            now, beats = time.monotonic(), self.watch.heartbeats()
            # a supervisor that slept itself, with the machine, counts no more than its own pause
            passed, before = min(now - before, 2 * pause), now
            still = [so_far + passed if beat and beat == old else 0.0 for so_far, beat, old in zip(still, beats, seen)]
            seen = beats
            if self.watch.ready():
                self.was_up = True
                if self.on_up:
                    self.on_up()
                    self.on_up = None
            if max(still) >= self.watchdog:
                hung = ", ".join(str(i) for i, seconds in enumerate(still) if seconds >= self.watchdog)
                self.kill(f"loop {hung} stood still for {max(still):.0f} s")
                break
            if self.stops > 1 and now - self.stop_sent > self.watchdog:
                self.kill("a fast stop takes too long")
                break
        self.child.wait()
        self.read()
        self.child.stderr.close()
        return ended(self.child.returncode)

    def kill(self, why):
        """Have the child write its stacks, then end it."""
        self.panic(f"watchdog: {why}; server (pid {self.child.pid}) is killed")
        self.send(signal.SIGUSR2)
        self.wait_for_end(DUMP_SECONDS)
        self.send(signal.SIGABRT)
        if not self.wait_for_end(ABORT_SECONDS):
            self.send(signal.SIGKILL)

    def wait_for_end(self, seconds):
        end = time.monotonic() + seconds
        while self.child.poll() is None and time.monotonic() < end:
            self.wait(0.1)
        return self.child.poll() is not None

    def wait(self, seconds):
        """Sleep until something happens: a signal of ours, or words of the child."""
        fds = [self.wake]
        if self.child and not self.child.stderr.closed:
            fds.append(self.child.stderr.fileno())
        ready, _, _ = select.select(fds, [], [], seconds)
        if self.wake in ready:
            self.signals(os.read(self.wake, 512))
        if ready and ready != [self.wake]:
            self.read()

    def signals(self, numbers):
        for number in numbers:
            if number in (signal.SIGTERM, signal.SIGINT):
                self.stops += 1
                self.stop_sent = time.monotonic()
                self.send(signal.SIGTERM)
            elif number == signal.SIGHUP:
                self.send(signal.SIGHUP)

    def send(self, number):
        if self.child and self.child.poll() is None:
            os.kill(self.child.pid, number)

    def sleep(self, seconds):
        end = time.monotonic() + seconds
        while not self.stops and time.monotonic() < end:
            self.wait(max(0.0, end - time.monotonic()))

    def read(self):
        """Take what the child wrote to stderr."""
        while not self.child.stderr.closed:
            try:
                data = os.read(self.child.stderr.fileno(), 65536)
            except BlockingIOError:
                return
            if not data:
                self.child.stderr.close()
                return
            if self.echo:
                try:
                    os.write(sys.stderr.fileno(), data)
                except OSError:             # our terminal went away
                    self.echo = False
            *lines, self.partial = (self.partial + data).split(b"\n")
            self.partial = self.partial[-MAX_LINE:]
            self.lines.extend(line[:MAX_LINE] for line in lines)

    def guard(self):
        """Put away what was in hand at this crash and at one before."""
        for line in filter(None, [*self.lines, self.partial]):
            self.panic("server said: " + line.decode("utf-8", "replace"), echo=False)
        for sequence in self.watch.in_hand():
            self.suspects[sequence] += 1
            if self.suspects[sequence] < 2 or self.spoolbase is None:
                continue
            try:
                Quarantine(self.spoolbase).hold(sequence, self.suspects[sequence])
                self.panic(f"message with spool sequence {sequence} was in hand at {self.suspects[sequence]} crashes; "
                           "it is in quarantine")
            except OSError as e:
                self.panic(f"cannot write the quarantine of {self.spoolbase}: {e.strerror}")

    def panic(self, text, echo=True):
        """Say something in the paniclog, and on stderr."""
        line = "".join(c if c.isprintable() else " " for c in text)
        if echo and self.echo:
            print(f"ecelerity: {line}", file=sys.stderr, flush=True)
        if self.paniclog:
            try:
                os.makedirs(os.path.dirname(self.paniclog) or ".", exist_ok=True)
                with open(self.paniclog, "a") as stream:
                    stream.write(f"{int(time.time())}:supervisor {line}\n")
            except OSError as e:
                if self.echo:
                    print(f"ecelerity: cannot write {self.paniclog}: {e.strerror}", file=sys.stderr)


def ended(code):
    """Say how a process ended; None where it ended well."""
    if code == 0:
        return None
    if code > 0:
        return f"ended with exit code {code}"
    try:
        return f"died of {signal.Signals(-code).name}"
    except ValueError:
        return f"died of signal {-code}"
