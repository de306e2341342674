"""The server process: start, reload, stop, everything in order.  Read it first.

`python -m pymomentum.server -c FILE` runs it in the foreground; `ecelerity` runs it under the supervisor.
"""
import argparse
import faulthandler
import importlib
import mmap
import os
import resource
import select
import signal
import socket
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from pymomentum import __version__, config, loggers, security, trust, watch
from pymomentum.console.listener import Listener
from pymomentum.console.registry import Registry
from pymomentum.core.config.generation import reap
from pymomentum.core.control import query, summary
from pymomentum.core.log import level
from pymomentum.core.log import writer as logs
from pymomentum.core.loop import loop as loops
from pymomentum.core.net import budget, stream
from pymomentum.core.policy import phases
from pymomentum.core.queue import maintainer, memory, restore, swap
from pymomentum.core.smtp import start as smtp
from pymomentum.core.smtp.server import session
from pymomentum.core.spool import large, recover, spool
from pymomentum.core.tls import context
from pymomentum.doors import Change
from pymomentum.errors import ConfigError, ConfigErrors, ConsoleError, MomentumError, Superseded
from pymomentum.listeners import Listeners, loop_count
from pymomentum.quarantine import Quarantine

DRAIN_SECONDS = 30
NICE = 10
SERVICES = ("esmtp", "ecstream", "control", "queue")


class Server:
    """One engine in one process; everything else asks it."""

    def __init__(self, path, without=()):
        self.path = path
        self.without = without          # services left out
        self.loaded = None
        self.loaded = self.load()
        self.fixed = config.fixed(self.loaded)  # what counts until the process ends
        self.unusable = ()                      # ConfigErrors of what TLS cannot use any more, and goes on as it was
        self.stopping = threading.Event()
        self.reload_asked = threading.Event()
        self.fast = False
        self.changing = threading.Lock()        # of configuration and listeners
        self.listeners = Listeners(self.loaded.eventloops)
        self.threads = []
        self.console = None
        self.watch = None

    def load(self, path=None):
        """Read the configuration, or another."""
        loaded = config.load(path or self.path, before=self.loaded)
        security.refuse_open_files(loaded)
        return self.held_back(loaded)

    def held_back(self, loaded):
        """Where the queue is left out nothing is delivered, whatever the configuration says."""
        if "queue" in self.without:
            hold_back(loaded.root)
            loaded.root.values["suspend_delivery"] = True
        return loaded

    # ---- start ----------------------------------------------------------------

    def start(self):
        """Configuration, logs, loops, spool, queues, listeners: mail is taken when this returns."""
        values = self.loaded.globals
        self.raise_descriptors(values["server_max_file_descriptors"])
        config.publish(self.loaded)
        loops.create(loop_count(self.loaded))
        self.share_watch()
        told = self.take_places()
        summary.start()
        logs.microseconds(values["log_hires_timestamp"])
        loggers.serve(self.loaded, loggers.prepare(self.loaded))
        self.set_levels()
        for notice in (*self.loaded.notices, *trust.mistakes(self.loaded)):
            logs.panic("CONFIG", str(notice).split("\n")[0])
        if told:
            logs.panic("START", told)
        version = f"{__version__} r(PyMomentum:{__version__})"
        session.identity(values["hostname"], version)
        memory.limit(self.memory_bytes())
        self.limit_streams()
        loops.pace(values["max_timed_events_per_iter"])
        flags = self.loaded.section("debug_flags")
        phases.suspend(flags["suspend"] == "random")
        smtp.attach(maintainers=self.listeners.loops_of(values["maintainer_pool"]),
                    deliverers=self.listeners.loops_of(values["delivery_pool"]), remote_leases=flags["lease"] == "remote")
        for name in flags["extensions"] or ():
            importlib.import_module(name).start()
        spool.open_spool(os.path.abspath(values["spoolbase"]), segment_size=values["spool_segment_size"],
                         mode=values["spool_mode"], **self.spool_pace())
        swap.start(self.loaded.threadpools["SwapIn"]["concurrency"], self.loaded.threadpools["SwapIn"]["stack_size"])
        large.start(self.loaded.threadpools["SwapOut"]["concurrency"], self.loaded.threadpools["SwapOut"]["stack_size"])
        for i in range(loop_count(self.loaded)):
            thread = threading.Thread(target=loops.run, args=(i,), name=f"loop{i}", daemon=True)
            thread.start()
            self.threads.append(thread)
        self.console.start(self.listens("control_listener"))
        logs.notice("START", f"ecelerity {version}, {loop_count(self.loaded)} event loops")
        threading.Thread(target=self.restore, name="SpoolIn", daemon=True).start()
        if self.watch:
            watch.WORD.pack_into(self.watch, watch.READY, 1)

    def take_places(self):
        """Sockets are bound by who started us; then, where that is root, we become who Security names.

        Answers what the paniclog should know.
        """
        listens = self.listens("esmtp_listener")
        self.listeners.change(listens)
        self.console = Listener(Registry(self, query))
        identity = None
        if security.stated(self.loaded) and os.geteuid() == 0:
            identity = security.Identity(self.loaded)
            self.path = identity.inside(self.path)
            identity.enter_root()
        self.console.change(self.listens("control_listener"))
        if identity:
            identity.assume([os.path.abspath(self.loaded.globals["spoolbase"])], [file[0] for file in loggers.files(self.loaded) if file],
                            [listen.path for listen in (*listens, *self.listens("control_listener")) if listen.path])
            if identity.root:
                with suppress(ConfigErrors):        # a reload will say so
                    self.loaded = self.load()       # with its files as they are called from inside
        elif security.stated(self.loaded):
            return "not started as root: the Security stanza has no effect"
        elif os.geteuid() == 0:
            return "running as root: a Security stanza names a user, and mail needs no root"
        return None

    def set_levels(self):
        """What subsystems tell the paniclog."""
        values, flags = self.loaded.globals, self.loaded.section("debug_flags")
        level.set_levels(
            [flags["debug"], flags["info"], flags["notice"], flags["warning"], flags["error"], flags["critical"]],
            values["debug_throttle_max_num_same_message"], values["debug_throttle_period_secs"])

    def spool_pace(self):
        values = self.loaded.globals
        return {"ratio": values["cold_log_ratio"], "backlog": values["commit_backlog"], "retry_interval": values["spool_retry_interval"]}

    @staticmethod
    def memory_bytes():
        """What ECELERITY_MEMORY says, else what the machine has, or the control group leaves."""
        if os.environ.get("ECELERITY_MEMORY", "").isdigit():
            return int(os.environ["ECELERITY_MEMORY"])
        have = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        try:
            group = Path("/proc/self/cgroup").read_text().strip().rpartition("::")[2].lstrip("/")
            limits = [Path("/sys/fs/cgroup", group, name).read_text().strip() for name in ("memory.max", "memory.high")]
        except OSError:
            return have
        return min([have, *(int(limit) for limit in limits if limit != "max")])

    @staticmethod
    def raise_descriptors(wanted):
        """As many file descriptors as asked for, and as the system allows; where only root may raise the ceiling, up to it."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        try:
            most = int(Path("/proc/sys/fs/nr_open").read_text())
        except OSError:                 # a root folder of our own has none
            most = hard
        for ceiling in (max(hard, min(wanted, most)), hard):
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, ceiling), ceiling))
                break
            except (ValueError, OSError):
                continue
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        budget.set_budget(min(soft, 1 << 30), 64 + min(soft, 1 << 30) // 10)

    def restore(self):
        """Mail of an earlier run comes back while new mail is taken."""
        quarantine = Quarantine(self.loaded.globals["spoolbase"])
        held = sorted(quarantine.held)
        segments, began = spool.stats()["recover_total"], time.monotonic()
        if segments:
            logs.panic("SPOOL", f"reading {segments} segment{'s' * (segments > 1)} of an earlier run")
        summary.read_spool(True)
        try:
            count = restore.restore(held, quarantine.deleted)
        finally:
            summary.read_spool(False)
        for sequence in sorted(quarantine.deleted):
            quarantine.release(sequence)
        for line in recover.report():
            logs.panic("SPOOL", line)
        if segments or held:
            logs.panic("SPOOL", f"{count} messages queued from the spool, {len(held)} quarantined, "
                                f"in {time.monotonic() - began:.1f} s")

    def share_watch(self):
        """Heartbeats where the supervisor reads them."""
        path = os.environ.get(watch.ENVIRONMENT)
        if path:
            with open(path, "r+b") as stream:
                self.watch = mmap.mmap(stream.fileno(), watch.SIZE)
            loops.share(self.watch, watch.STEP, watch.IN_HAND)

    # ---- listeners ------------------------------------------------------------

    def listens(self, kind, loaded=None):
        """Addresses of a kind of listener; none where its service is left out."""
        if kind.removesuffix("_listener") in self.without:
            return []
        return [listen for listen in (loaded or self.loaded).listens if listen.kind == kind]

    def limit_streams(self):
        """What connections that we open have for all of them."""
        values = self.loaded.root.values
        stream.limit(values.get("tcp_buffer_size", 0), values.get("disable_nagle_algorithm", True))

    # ---- reload and stop ------------------------------------------------------

    def reload(self, path=None):
        """Read the configuration again, or another; on any error the old one goes on serving."""
        with self.changing:
            return self.adopt(patiently(self.load, path))

    def change(self, changes, seen, base=None):
        """Serve by the loaded configuration, or the base given, with changes, if it is still the one that was seen; answers its number."""
        with self.changing:
            if self.loaded is not seen:
                raise Superseded("the configuration has changed since")
            loaded = patiently(config.changed, base or seen, changes)
            if loaded.local is not seen.local:
                security.refuse_open_files(loaded)
            return self.adopt(self.held_back(loaded))

    def write_back(self, work):
        """Write what was changed on the console into the files it belongs to, where these say it then; answers their paths."""
        with self.changing:
            if self.loaded is not work.loaded:
                raise ConsoleError("the configuration has changed meanwhile, and nothing was written; say it again")
            loaded = patiently(work.loaded_anew)
            security.refuse_open_files(loaded)
            files = work.save()
            if files:
                self.adopt(self.held_back(loaded))
            return files

    def restart_needed(self, before=None):
        """Answer what the configuration says otherwise than when the process started, and counts then only; or what it says since one before."""
        now, then = config.fixed(self.loaded), config.fixed(before) if before else self.fixed
        return [place for place in {**self.fixed, **now} if now.get(place) not in (self.fixed.get(place), then.get(place))]

    def adopt(self, loaded):
        unusable = self.try_trust(loaded)
        opened = loggers.prepare(loaded, self.loaded)
        change = None
        try:
            change = Change((self.listeners, self.listens("esmtp_listener", loaded)), (self.console, self.listens("control_listener", loaded)))
            number = config.publish(loaded)
        except Exception as e:              # no memory, too
            loggers.drop(opened)
            if change:
                change.drop()
            if isinstance(e, MomentumError) and not isinstance(e, ConfigErrors):
                raise ConfigErrors([ConfigError(str(e))]) from None
            raise
        logs.microseconds(loaded.globals["log_hires_timestamp"])
        loggers.serve(loaded, opened)
        new = config.news(loaded, self.loaded)
        self.loaded, self.unusable = loaded, unusable
        self.set_levels()
        for notice in (*new, *unusable):
            logs.panic("CONFIG", str(notice).split("\n")[0])
        self.raise_descriptors(loaded.globals["server_max_file_descriptors"])
        loops.pace(loaded.globals["max_timed_events_per_iter"])
        spool.tune(**self.spool_pace())
        swap.resize(loaded.threadpools["SwapIn"]["concurrency"])
        large.resize(loaded.threadpools["SwapOut"]["concurrency"])
        maintainer.refresh()
        session.recount()
        self.limit_streams()
        context.refresh()
        change.adopt()
        return number

    def try_trust(self, loaded):
        """What TLS could use until now and cannot any more goes on as it was, and is the answer; what is new must be usable."""
        mistakes = trust.mistakes(loaded)
        known = {mistake.message for mistake in trust.mistakes(self.loaded)} if mistakes else ()
        if any(mistake.message not in known for mistake in mistakes):
            raise ConfigErrors(mistakes)
        return mistakes

    def try_reload(self):
        """SIGHUP: errors go to the paniclog."""
        try:
            self.reload()
            for place in self.restart_needed():
                logs.panic("CONFIG", f"{place} has changed: it counts after a restart only")
        except MomentumError as e:
            for line in str(e).splitlines():
                logs.panic("CONFIG", f"reload refused: {line}")
        except Exception:               # of ours: mail goes on by the old one
            for line in traceback.format_exc().splitlines():
                logs.panic("CONFIG", f"reload refused, internal error: {line}")

    def reopen_logs(self):
        logs.reopen_logs()

    def shutdown(self, fast=False):
        """Stop: sessions finish, the spool is synced.  `fast` waits for nobody."""
        self.fast = self.fast or fast
        self.stopping.set()

    def stop(self):
        """What main does when shutdown was asked for."""
        if self.console:
            self.console.noticed()
            self.console.stop()
        self.listeners.close()
        deadline = time.monotonic() + DRAIN_SECONDS
        session.drain()
        maintainer.drain()
        while time.monotonic() < deadline and not self.fast:
            counters = summary.values()
            if not counters["InboundConcurrency"] and not counters["OutboundConcurrency"]:
                break
            time.sleep(0.02)
        loops.stop_all()
        for thread in self.threads:
            thread.join()
        swap.stop()
        large.stop()
        memory.stop()
        spool.close_spool()
        logs.close_logs()


def patiently(work, *args):
    """Answer what a function answers or raise what it raises, at its leisure: event loops go first where CPUs are short."""
    with ThreadPoolExecutor(1, "Config", step_back) as thread:
        return thread.submit(work, *args).result()


def step_back():
    thread = threading.get_native_id()
    if os.getpriority(os.PRIO_PROCESS, thread) < NICE:
        os.setpriority(os.PRIO_PROCESS, thread, NICE)       # of this thread alone


def hold_back(scope):
    """No stanza says anything about suspend_delivery."""
    scope.values.pop("suspend_delivery", None)
    for inner in scope.children.values():
        hold_back(inner)


def main(argv=None):
    """Run the server until it is told to stop; exit code 1 with one line where it cannot start."""
    parser = argparse.ArgumentParser(prog="ecelerity-server", description="The mail server process.")
    parser.add_argument("-c", dest="path", default="conf/default/ecelerity.conf", help="configuration file")
    parser.add_argument("-n", dest="without", action="append", default=[], choices=SERVICES,
                        help="a service to leave out")
    options = parser.parse_args(argv)
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR2)       # the watchdog asks for stacks
    try:
        server = Server(options.path, options.without)
        server.start()
    except (ConfigErrors, MomentumError, OSError) as e:
        print(f"ecelerity: {e}", file=sys.stderr, flush=True)
        os._exit(1)                             # loops may run already, and nothing was accepted
    signal.signal(signal.SIGTERM, lambda *_: server.shutdown(fast=server.stopping.is_set()))
    signal.signal(signal.SIGINT, lambda *_: server.shutdown(fast=server.stopping.is_set()))
    print("ready", flush=True)
    signal.signal(signal.SIGHUP, lambda *_: server.reload_asked.set())
    while not server.stopping.is_set():
        if select.select([server.console.stop_fd], [], [], 0.2)[0]:
            server.shutdown()
        reap()
        if server.reload_asked.is_set():
            server.reload_asked.clear()
            server.try_reload()
    server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
