"""An actor in a process of its own: it may compute, block and leak; when it hangs it is killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from daemon.actors.errors import ActorError, ActorHungError
from daemon.actors.hosts import ENDING_S, STARTING_S, Say, Tell
from daemon.actors.inside import Job
from daemon.actors.worker import MOST_LINE
from strategies.types import Bar

# finds modules where this process does
_MAIN = """
import json, sys
sys.path[:] = json.loads(sys.argv[2])
from daemon.actors.worker import main
main(int(sys.argv[1]))
"""
STEPS = 20  # how often in its timeout it is looked after
BEATS = 4  # how often in its timeout it says that it lives


class ProcessHost:
    """An actor in a process of its own."""

    def __init__(self, job: Job, timeout_s: float, say: Say, refuse: Tell) -> None:
        self._job = job
        self._timeout_s = timeout_s
        self._say, self._refuse = say, refuse
        self._silent_s = 0.0  # since its last message
        self._asked_s = 0.0  # since it was asked what it is asked now
        self._may_take_s = 0.0  # before it counts as hung
        self._answer: asyncio.Future[None] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._over: asyncio.Future[ActorError] = asyncio.get_running_loop().create_future()

    async def start(self, warmup: Sequence[Bar]) -> None:
        """Start the process, and let the actor begin."""
        ours, theirs = socket.socketpair()
        reader, self._writer = await asyncio.open_connection(sock=ours, limit=MOST_LINE)
        try:
            with theirs:
                self._process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-P", "-c", _MAIN, str(theirs.fileno()), json.dumps(sys.path)),
                    pass_fds=(theirs.fileno(),),
                    stdin=asyncio.subprocess.DEVNULL,
                )
        except OSError as error:
            self._writer.close()
            raise ActorError(f"actor {self._job.name!r}: its process cannot be started: {error}") from error
        self._tasks = [asyncio.create_task(self._listen(reader)), asyncio.create_task(self._look_after())]
        beat_s = self._timeout_s / BEATS
        await self._asking(
            max(self._timeout_s, STARTING_S), "start", self._job.plain(), min(beat_s, 1.0), list(warmup)
        )

    async def ask(self, bar: Bar) -> None:
        """Let it hear a bar."""
        await self._asking(self._timeout_s, "bar", bar)

    async def ended(self) -> ActorError:
        """Wait until it ends by itself, or was killed."""
        return await asyncio.shield(self._over)

    async def stop(self) -> None:
        """Ask it to end; kill it where it does not."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            if not self._over.done():
                self._over.set_result(ActorError(f"actor {self._job.name!r} was stopped"))
                with contextlib.suppress(asyncio.TimeoutError, ConnectionError):
                    async with asyncio.timeout(ENDING_S):
                        await self._send("stop")
                        await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
            for task in self._tasks:
                task.cancel()
            if self._writer:
                self._writer.close()
            await process.wait()

    @property
    def pid(self) -> int | None:
        """Its process's."""
        return self._process.pid if self._process and not self._over.done() else None

    async def _asking(self, may_take_s: float, *message: Any) -> None:
        if self._over.done():
            raise self._over.result()
        self._answer = asyncio.get_running_loop().create_future()
        self._asked_s = self._silent_s = 0.0
        self._may_take_s = may_take_s
        try:
            with contextlib.suppress(ConnectionError):  # that it is gone is noticed where it is listened to
                await self._send(*message)
            either: set[asyncio.Future[Any]] = {self._answer, self._over}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            answer, self._answer = self._answer, None
            self._may_take_s = self._timeout_s
        if not answer.done():
            raise self._over.result()

    async def _send(self, *message: Any) -> None:
        assert self._writer
        self._writer.write(json.dumps(message).encode() + b"\n")
        await self._writer.drain()

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        failed: ActorError | None = None
        try:
            while line := await reader.readline():
                self._silent_s = 0.0
                kind, *rest = json.loads(line)
                if kind == "signal":
                    self._say(rest[0])
                    await asyncio.sleep(0)  # many at once leave room for others
                elif kind == "refused":
                    self._refuse(rest[0])
                elif kind == "done" and self._answer and not self._answer.done():
                    self._answer.set_result(None)
                elif kind == "failed":
                    failed = ActorError(*rest)
        except ConnectionError:
            pass  # it is gone, as at the end of what it sent
        except ValueError as error:  # a line that is too long, or no JSON
            failed = ActorError(f"actor {self._job.name!r} sent what is no message: {error}")
        self._end(failed or ActorError(await self._why()))

    async def _why(self) -> str:
        process, name = self._process, f"actor {self._job.name!r}"
        if process is None:
            return f"{name} was stopped"
        try:
            async with asyncio.timeout(ENDING_S):
                status = await process.wait()
        except TimeoutError:
            return f"{name}: its process closed its socket, and was killed"
        if status < 0:
            hint = "; was the memory used up?" if status == -signal.SIGKILL else ""
            return f"{name}: its process was ended by {signal.Signals(-status).name}{hint}"
        return f"{name}: its process ended with status {status}"

    async def _look_after(self) -> None:
        # Steps are counted, not time: when this process itself was held up, the other is not to blame.
        step = min(self._timeout_s / STEPS, 1.0)
        name = f"actor {self._job.name!r}"
        while not self._over.done():
            await asyncio.sleep(step)
            self._silent_s += step
            self._asked_s += step
            if self._answer and self._asked_s >= self._may_take_s:
                self._end(ActorHungError(f"{name} has not answered for {self._may_take_s:g} s"))
            elif not self._answer and self._silent_s >= self._timeout_s:
                self._end(ActorHungError(f"{name} has given no sign of life for {self._timeout_s:g} s"))

    def _end(self, error: ActorError) -> None:
        if self._over.done():
            return
        self._over.set_result(error)
        if self._process and self._process.returncode is None:
            self._process.kill()


def resident_bytes(pid: int) -> int | None:
    """The memory that a process holds, in bytes; None where this system does not say."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None
