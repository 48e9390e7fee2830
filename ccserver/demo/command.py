"""`ccserver demo`: broker, server, a collector for this machine and a simulated cluster, from one command."""

from __future__ import annotations

import argparse
import fcntl
import os
import re
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import trio

from ccserver.demo import children, installation
from ccserver.demo.adapter import Adapter, running_jobs, stop
from ccserver.demo.children import Child, program
from ccserver.demo.clusters import LOCAL, LOCAL_STEP, SIMULATED, Machine, this_machine
from ccserver.demo.collector import Collector
from ccserver.demo.curves import NODES
from ccserver.demo.errors import DemoError
from ccserver.demo.history import History, Progress, first_moment
from ccserver.demo.installation import BROKER_HOST, subject
from ccserver.demo.publisher import Publisher
from ccserver.demo.real_job import RealWork
from ccserver.demo.rest import Api, Unreachable
from ccserver.demo.scheduler import PERIOD, Event, Scheduler, Started, replay
from ccserver.demo.simulation import Simulation, report_node_states
from ccserver.demo.state import State

SERVER_START_PATIENCE = 300.0  # compiling its kernels on a busy laptop takes a minute or two
SERVER_STOP_PATIENCE = 70.0  # it may take a minute to archive what is queued
BROKER_STOP_PATIENCE = 5.0
RESTART_WAIT = 0.5
MAX_SERVER_RESTARTS = 3
SAVE_INTERVAL = 10.0
MAX_COMPLAINTS = 5


def main(argv: list[str]) -> int:
    """Runs until Ctrl-C or SIGTERM; exit code 1 if it cannot start or go on."""
    options = _parse(argv)
    try:
        with _alone_in(options.directory):
            return trio.run(Demo(options).run)
    except KeyboardInterrupt:  # before the demo listens to signals
        return 130
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr, flush=True)
        return 1


class Demo:
    """One run of the demo: start, work until a signal, stop."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._directory: Path = options.directory
        self._host, self._port = options.addr
        self._history_length: int = options.history
        self._with_load: bool = options.load
        self._source: Path | None = options.archive
        self._state = State()
        self._broker: Child | None = None
        self._server: Child | None = None
        self._complaints = 0

    async def run(self) -> int:
        """Exit code; whatever happens, no program is left behind."""
        failures: list[BaseException] = []
        with trio.open_signal_receiver(*_ending_signals()) as signals:
            async with trio.open_nursery() as nursery:
                scope = trio.CancelScope()
                nursery.start_soon(self._listen, signals, scope)
                try:
                    with scope:
                        await self._work()
                except* DemoError as group:
                    failures.extend(group.exceptions)
                finally:
                    with trio.CancelScope(shield=True):
                        await self._stop_programs()
                nursery.cancel_scope.cancel()
        for failure in failures:
            while isinstance(failure, BaseExceptionGroup):
                failure = failure.exceptions[0]
            print(f"demo: {failure}", file=sys.stderr, flush=True)
        return 1 if failures else 0

    async def _listen(self, signals: AsyncIterator[int], scope: trio.CancelScope) -> None:
        async for _ in signals:
            if scope.cancel_called:
                say("killing what is left")
                for child in (self._server, self._broker):
                    if child is not None:
                        child.kill()
            else:
                say("stopping (Ctrl-C again to kill)")
                scope.cancel()

    async def _stop_programs(self) -> None:
        """Server first, so that its last words with the broker can be said."""
        if self._server is not None:
            await self._server.stop(SERVER_STOP_PATIENCE)
        if self._broker is not None:
            await self._broker.stop(BROKER_STOP_PATIENCE)
        children.forget(self._directory)

    async def _work(self) -> None:
        machine = this_machine(socket.gethostname(), psutil.virtual_memory().total, psutil.cpu_count() or 1)
        if count := await trio.to_thread.run_sync(children.end_leftovers, self._directory):
            say(f"ended {count} programs of a demo that was killed")
        if not installation.port_is_free(self._host, self._port):
            raise DemoError(f"{self._host}:{self._port} is in use; choose another address with --addr")
        self._state = await installation.prepare(
            self._directory, self._host, self._port, machine, self._source, say
        )
        token = await installation.adapter_token(self._directory)
        await self._start_programs()
        address = (_reachable(self._host), self._port, token)
        api = Api(*address)
        scheduler, history = await self._pick_up(api)
        publisher = Publisher(BROKER_HOST, self._state.broker_port)
        adapter = Adapter(api, self._complain)
        simulation = Simulation(scheduler, self._state.last_sample, publisher, adapter)
        work = RealWork(Api(*address), machine, self._directory, self._state.next_local_job)
        await self._reconcile(api, adapter, scheduler, history)
        self._welcome(machine, scheduler)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._keep_broker)
                nursery.start_soon(self._keep_server)
                nursery.start_soon(publisher.run)
                nursery.start_soon(adapter.run)
                nursery.start_soon(simulation.run)
                nursery.start_soon(_collect, Collector(machine.hostname, machine.threads), publisher)
                nursery.start_soon(report_node_states, simulation, work, Api(*address))
                nursery.start_soon(self._keep_state, simulation, adapter, work)
                if history is not None:
                    nursery.start_soon(self._fill, history)
                if self._with_load:
                    nursery.start_soon(work.run)
        finally:
            self._save(simulation, adapter, work)

    async def _start_programs(self) -> None:
        port = str(self._state.broker_port)
        self._broker = Child(
            "broker", [program("nats-server"), "-a", BROKER_HOST, "-p", port], self._directory
        )
        self._server = Child("server", [program("ccserver"), "-server", "-loglevel", "info"], self._directory)
        await self._broker.start()
        await self._server.start()
        await self._until_ready(self._server)

    async def _until_ready(self, server: Child) -> None:
        api = Api(_reachable(self._host), self._port, "", timeout=5.0)
        with trio.move_on_after(SERVER_START_PATIENCE):
            while server.alive:
                with suppress(Unreachable):
                    if (await trio.to_thread.run_sync(api.get, "/login"))[0] == 200:
                        return
                await trio.sleep(0.2)
            how = await server.wait()
            raise DemoError(
                f"the server did not start ({how}), its log {server.log} ends:{server.last_words()}"
            )
        raise DemoError(f"the server does not answer after {SERVER_START_PATIENCE:.0f} s, see {server.log}")

    async def _pick_up(self, api: Api) -> tuple[Scheduler, History | None]:
        """The scheduler where it stopped, or a fresh one with its past; and the history still to be sent."""
        state = self._state
        fresh = not state.scheduler
        if fresh:
            state.history_end = int(time.time()) // PERIOD * PERIOD
            begin = first_moment(state.history_end, self._history_length)
            state.history_start = begin // PERIOD * PERIOD
            state.history_done_to = state.history_end
            state.last_sample = state.history_end - 1
        elif state.history_done_to <= state.history_start:
            return Scheduler.restore(state.scheduler), None
        scheduler, events = await trio.to_thread.run_sync(
            replay, state.seed, state.history_start, state.history_end
        )
        history = History(api.another(), state.history_start, state.history_end, events, self._complain)
        return (scheduler if fresh else Scheduler.restore(state.scheduler)), history

    async def _reconcile(
        self, api: Api, adapter: Adapter, scheduler: Scheduler, history: History | None
    ) -> None:
        """Makes the server's running jobs and ours the same set."""
        ends = {number: (end, state) for number, end, state in self._state.unreported}
        in_history = history.finished_jobs() if history is not None else frozenset()
        known = set()
        for job in await trio.to_thread.run_sync(running_jobs, api):
            cluster, number = job["cluster"], int(job["jobId"])
            if cluster == SIMULATED and number in scheduler.running:
                known.add(number)
            elif (cluster == SIMULATED and number not in in_history) or cluster == LOCAL:
                last = max(int(job["startTime"]), self._state.last_sample)
                end, state = (
                    ends.get(number, (last, "cancelled")) if cluster == SIMULATED else (last, "cancelled")
                )
                with suppress(Unreachable):
                    await trio.to_thread.run_sync(stop, api, cluster, number, end, state)
        missing: list[Event] = [
            Started(placement) for number, placement in scheduler.running.items() if number not in known
        ]
        adapter.report(missing)

    def _welcome(self, machine: Machine, scheduler: Scheduler) -> None:
        url = f"http://{_shown(self._host)}:{self._port}/"
        say(f"open {url}   login: demo   password: demo")
        say(f"cluster {LOCAL}: this machine, {len(machine.threads)} hwthreads, a sample every {LOCAL_STEP} s")
        say(f"cluster {SIMULATED}: simulated, {len(NODES)} nodes, {len(scheduler.running)} jobs running")
        say(f"state in {self._directory}, logs in {self._directory / 'log'}; Ctrl-C ends everything")

    async def _keep_broker(self) -> None:
        broker = self._broker
        assert broker is not None
        while True:
            how = await broker.wait()
            await trio.sleep(RESTART_WAIT)
            await broker.start()
            say(f"the broker ended ({how}) and was started again on port {self._state.broker_port}")

    async def _keep_server(self) -> None:
        server = self._server
        assert server is not None
        for _ in range(MAX_SERVER_RESTARTS):
            how = await server.wait()
            await trio.sleep(RESTART_WAIT)
            await server.start()
            say(f"the server ended ({how}) and was started again, see {server.log}")
        how = await server.wait()
        raise DemoError(
            f"the server ends again and again ({how}), its log {server.log} ends:{server.last_words()}"
        )

    async def _keep_state(self, simulation: Simulation, adapter: Adapter, work: RealWork) -> None:
        while True:
            self._save(simulation, adapter, work)
            await trio.sleep(SAVE_INTERVAL)

    def _save(self, simulation: Simulation, adapter: Adapter, work: RealWork) -> None:
        self._state.scheduler = simulation.scheduler.state()
        self._state.last_sample = simulation.last_sample
        self._state.unreported = adapter.unreported()
        self._state.next_local_job = work.next_number
        self._state.save(self._directory)

    async def _fill(self, history: History) -> None:
        """Runs the history in a thread and tells it when the demo ends."""

        async def end_with_demo() -> None:
            try:
                await trio.sleep_forever()
            finally:
                history.stopping.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(end_with_demo)
            await trio.to_thread.run_sync(history.fill, self._state.history_done_to, self._history_progress)
            nursery.cancel_scope.cancel()

    def _complain(self, text: str) -> None:
        """Says what should never happen, a few times."""
        self._complaints += 1
        if self._complaints <= MAX_COMPLAINTS:
            say(text)

    def _history_progress(self, progress: Progress) -> None:
        state = self._state
        before, done = ((state.history_end - at) // 3600 for at in (state.history_done_to, progress.done_to))
        state.history_done_to = progress.done_to
        if progress.complete:
            say(f"history: complete, {_length(state.history_end - progress.done_to)}, {progress.jobs} jobs")
            state.history_done_to = state.history_start  # what is too old by now is left out for good
        elif done // 12 > before // 12:
            say(f"history: {done} hours so far, {progress.jobs} jobs")


async def _collect(collector: Collector, publisher: Publisher) -> None:
    """Samples of this machine, in step with the clock."""
    while True:
        now = time.time()
        await trio.sleep(LOCAL_STEP - now % LOCAL_STEP)
        publisher.publish(subject(LOCAL), collector.lines(round(time.time())))


def say(text: str) -> None:
    with suppress(OSError):  # the terminal may be gone when we stop
        print(f"demo: {text}", flush=True)


def _ending_signals() -> list[signal.Signals]:
    """Ctrl-C, SIGTERM, and a closed terminal unless `nohup` wants us to outlive it."""
    hang_up = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]
    return [signal.SIGINT, signal.SIGTERM, *hang_up]


def _reachable(host: str) -> str:
    """An address to connect to for an address to listen on."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104


def _shown(host: str) -> str:
    address = _reachable(host)
    return f"[{address}]" if ":" in address else address


def _length(seconds: int) -> str:
    return f"{seconds / 3600:.0f} hours" if seconds >= 7200 else f"{seconds / 60:.0f} minutes"


@contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Holds the directory for this process. Raises DemoError if another demo has it."""
    directory.mkdir(parents=True, exist_ok=True)
    lock = os.open(directory / "demo.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise DemoError(f"another demo runs in {directory}; choose another --directory") from None
    try:
        yield
    finally:
        os.close(lock)


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="ccserver demo",
        description="The whole system with live data of this machine and of a simulated cluster.",
        epilog="DEMO_ARCHIVE=<directory> takes over an existing job archive at the first start.",
        allow_abbrev=False,
    )
    parser.add_argument("--addr", type=_address, default="127.0.0.1:8080", help="listen address, %(default)s")
    parser.add_argument(
        "--directory", type=_absolute, default="./var", help="where everything is kept, %(default)s"
    )
    parser.add_argument(
        "--history", type=_seconds, default="48h", help="past to make up at the first start, %(default)s"
    )
    parser.add_argument("--no-load", dest="load", action="store_false", help="no real work on this machine")
    parser.add_argument(
        "--archive", type=_absolute, default=os.environ.get("DEMO_ARCHIVE") or None, help=argparse.SUPPRESS
    )
    return parser.parse_args(argv)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f'"{text}" is no address; write "127.0.0.1:8080"')
    return host.strip("[]") or "127.0.0.1", int(port)


def _absolute(text: str) -> Path:
    return Path(text).absolute()


def _seconds(text: str) -> int:
    match = re.fullmatch(r"(\d+)([hms]?)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f'"{text}" is no duration; write "48h" or "10m"')
    return int(match.group(1)) * {"h": 3600, "m": 60}.get(match.group(2), 1)
