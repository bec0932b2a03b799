"""A session by HTTP, over real sockets: what it tells, what it refuses, and that nobody can hold it up."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, TCPConnector, UnixConnector
from prometheus_client import CollectorRegistry, Counter, Gauge

from daemon.live.controls import ControlError
from daemon.live.health import Health, Stage
from daemon.web import app as answering
from daemon.web import serving
from daemon.web.serving import ListenError, serve

ACCOUNTS = ["desk", "coins"]


class Desk:
    """Controls that keep what they were asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.commit_s = 0.0
        self.reloaded: dict[str, Any] = {"changed": ["accounts.0.limits"], "needs_restart": []}
        self.told: dict[str, Any] = {
            "session": "desk-1",
            "epoch": 3,
            "seq": 1234567,
            "committed_seq": 1234567,
            "time": "2026-11-20T15:30:00.250Z",
            "state": "running",
            "ready": True,
            "reasons": [],
            "accounts": [
                {"name": name, "currency": "USD", "state": "active", "cash": 100.0, "equity": 1100.0}
                for name in ACCOUNTS
            ],
        }

    async def operate(self, portfolio: str, action: str, reason: str, who: str) -> dict[str, Any]:
        await asyncio.sleep(self.commit_s)
        if portfolio not in ACCOUNTS:
            raise ControlError(f"there is no account {portfolio!r}; there are {', '.join(ACCOUNTS)}")
        self.asked.append((portfolio, action, reason, who))
        return {"seq": 1000 + len(self.asked), "portfolio": portfolio, "state": "halted"}

    async def reload(self) -> dict[str, Any]:
        self.asked.append(("reload",))
        return self.reloaded

    def status(self) -> dict[str, Any]:
        return self.told


class World:
    """A served session. get and post give the status and the content of the answer."""

    def __init__(
        self, port: int, control: Path, desk: Desk, health: Health, registry: CollectorRegistry
    ) -> None:
        self.port, self.control, self.desk, self.health, self.registry = port, control, desk, health, registry

    async def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, Any]:
        async with (
            ClientSession(connector=TCPConnector(), headers=headers) as client,
            client.request(
                method, f"http://127.0.0.1:{self.port}{path}", data=b"{}" if method == "POST" else None
            ) as got,
        ):
            return got.status, await got.json()

    async def post(self, path: str, content: Any) -> tuple[int, Any]:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        async with (
            ClientSession(connector=UnixConnector(str(self.control))) as client,
            client.post(f"http://localhost{path}", data=body) as got,
        ):
            return got.status, await got.json()

    async def command(self, *arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
        """What `papertape` ends with, and what it writes."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "daemon.cli",
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "USER": "ann", "LOGNAME": "ann"},
        )
        out, err = await process.communicate(stdin)
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()


def received(of: socket.socket) -> int:
    """Bytes until the other side ends it."""
    total = 0
    try:
        while part := of.recv(1 << 20):
            total += len(part)
    except ConnectionResetError:
        pass
    return total


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[World]:
    desk, registry = Desk(), CollectorRegistry()
    health = Health(Stage.RUNNING, "desk-1", progress=time.monotonic())
    Counter("papertape_fills", "Fills.", registry=registry).inc(7)
    async with serve(desk, health, registry, f"127.0.0.1:{free_port()}", folder / "desk.sock") as at:
        assert at.port is not None
        yield World(at.port, at.control, desk, health, registry)


def run(folder: Path, story: Callable[[World], Awaitable[None]]) -> None:
    async def told() -> None:
        async with asyncio.timeout(60), served(folder) as world:
            await story(world)

    asyncio.run(told())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


# -- what it tells ----------------------------------------------------------------------------------------------------


def test_probes_tell_how_it_is_and_why(folder: Path) -> None:
    async def story(world: World) -> None:
        assert await world.get("/healthz") == (200, {"alive": True})
        assert await world.get("/readyz") == (200, {"ready": True, "reasons": []})
        world.health.database_error = "disk full"
        code, content = await world.get("/readyz")
        assert (code, content) == (
            503,
            {"ready": False, "reasons": ["the database cannot be written: disk full"]},
        )
        assert (await world.get("/healthz"))[0] == 200  # a restart would not mend it
        world.health.progress = time.monotonic() - 60.0
        code, content = await world.get("/healthz")
        assert code == 503
        assert content["error"] == "the engine made no progress for 60 s"
        code, content = await world.get("/readyz")
        assert code == 503
        assert len(content["reasons"]) == 2

    run(folder, story)


def test_status_is_what_the_session_tells_also_where_json_has_no_such_number(folder: Path) -> None:
    async def story(world: World) -> None:
        assert await world.get("/status") == (200, world.desk.told)
        world.desk.told = {"drawdown": float("nan"), "control": world.control}
        assert await world.get("/status") == (200, {"drawdown": "nan", "control": str(world.control)})

    run(folder, story)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/plain", "text/plain"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text"),
    ],
)
def test_metrics_are_in_the_form_that_is_asked_for(folder: Path, accept: str, kind: str) -> None:
    async def story(world: World) -> None:
        async with (
            ClientSession() as client,
            client.get(f"http://127.0.0.1:{world.port}/metrics", headers={"Accept": accept}) as got,
        ):
            assert got.status == 200
            assert got.headers["Content-Type"].startswith(kind)
            text = await got.text()
            assert "papertape_fills_total 7.0" in text
            assert text.endswith("# EOF\n") == (kind != "text/plain")

    run(folder, story)


# -- what it refuses --------------------------------------------------------------------------------------------------


def test_port_answers_no_post_and_nothing_else_than_the_four(folder: Path) -> None:
    async def story(world: World) -> None:
        for path in ("/operate", "/reload", "/status"):
            code, content = await world.get(path, method="POST")
            assert (code, "only GET" in content["error"]) == (405, True)
        for path in ("/", "/operate", "/healthz/", "/../etc/passwd"):
            code, content = await world.get(path)
            assert (code, "Not Found" in content["error"]) == (404, True)
        assert world.desk.asked == []

    run(folder, story)


def test_request_in_the_name_of_a_website_is_refused(folder: Path) -> None:
    async def story(world: World) -> None:
        code, content = await world.get("/status", Host=f"evil.example:{world.port}")
        assert (code, "Host" in content["error"]) == (403, True)
        assert (await world.get("/status", Host=f"localhost:{world.port}"))[0] == 200
        async with ClientSession() as client, client.get(f"http://127.0.0.1:{world.port}/status") as got:
            assert not [name for name in got.headers if name.lower().startswith("access-control")]

    run(folder, story)


def test_operation_is_done_by_the_socket_only_and_told_after_its_commit(folder: Path) -> None:
    async def story(world: World) -> None:
        asked = {"portfolio": "desk", "action": "halt", "reason": "news", "who": "ann@box"}
        assert await world.post("/operate", asked) == (
            200,
            {"seq": 1001, "portfolio": "desk", "state": "halted"},
        )
        assert world.desk.asked == [("desk", "halt", "news", "ann@box")]
        code, content = await world.post("/operate", asked | {"portfolio": "dsek"})
        assert (code, content["error"]) == (409, "there is no account 'dsek'; there are desk, coins")
        code, content = await world.post("/operate", asked | {"action": "buy"})
        assert (code, "action" in content["error"]) == (409, True)
        code, content = await world.post("/reload", b"")
        assert (code, content["changed"]) == (200, ["accounts.0.limits"])

    run(folder, story)


def test_request_that_is_too_long_is_refused(folder: Path) -> None:
    async def story(world: World) -> None:
        code, content = await world.post("/operate", b"x" * (answering.MOST_BYTES + 1))
        assert (code, "65,536 bytes" in content["error"]) == (413, True)

    run(folder, story)


def test_error_of_ours_is_told_as_one_and_the_next_request_is_answered(folder: Path) -> None:
    async def story(world: World) -> None:
        def broken() -> dict[str, Any]:
            raise KeyError("a secret detail")

        world.desk.status = broken  # type: ignore[method-assign]
        code, content = await world.get("/status")
        assert code == 500
        assert "secret" not in content["error"]
        assert (await world.get("/healthz"))[0] == 200

    run(folder, story)


def test_commit_that_takes_too_long_is_told_and_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Impatient(answering.Answers):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given, commit_s=0.2)

    monkeypatch.setattr(serving, "Answers", Impatient)

    async def story(world: World) -> None:
        world.desk.commit_s = 0.5
        code, content = await world.post(
            "/operate", {"portfolio": "desk", "action": "halt", "reason": "news", "who": "ann"}
        )
        assert (code, "not committed yet" in content["error"]) == (504, True)
        await asyncio.sleep(0.5)
        assert len(world.desk.asked) == 1

    run(folder, story)


# -- who is slow ------------------------------------------------------------------------------------------------------


def test_client_that_never_reads_holds_up_nobody_and_is_cut_off(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Impatient(answering.Answers):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given, send_s=4.0)

    monkeypatch.setattr(serving, "Answers", Impatient)

    async def story(world: World) -> None:
        big = Gauge("papertape_big", "Far more than a socket takes.", ["n"], registry=world.registry)
        for n in range(60_000):
            big.labels(f"{n:0100}").set(1.0)
        silent = socket.socket()
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        silent.connect(("127.0.0.1", world.port))
        silent.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await asyncio.sleep(0.1)
        await world.get("/healthz")  # behind it: the answer is made by now
        begin = time.monotonic()
        for _ in range(20):
            assert (await world.get("/healthz"))[0] == 200
        assert time.monotonic() - begin < 3.0  # while it still does not read
        await asyncio.sleep(4.5)
        with silent:
            assert received(silent) < 5_500_000  # of 7 MB: what the kernel had taken

    run(folder, story)


def test_connections_that_ask_nothing_give_way_to_those_that_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(world: World) -> None:
        at = ("127.0.0.1", world.port)
        silent = [
            await asyncio.to_thread(socket.create_connection, at) for _ in range(2 * serving.MOST_CONNECTIONS)
        ]
        try:
            await asyncio.sleep(0.2)
            assert (await world.get("/healthz"))[0] == 200
            cut = 0
            for each in silent:
                each.setblocking(False)
                try:
                    cut += each.recv(1) == b""
                except ConnectionResetError:
                    cut += 1
                except BlockingIOError:
                    pass
            assert cut >= serving.MOST_CONNECTIONS
        finally:
            for each in silent:
                each.close()

    run(folder, story)


def test_connection_that_asks_too_slowly_is_cut_off(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "LIFE_S", 1.0)

    async def story(world: World) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
        begin = time.monotonic()
        writer.write(b"GET /healthz HTTP/1.1\r\nX-Long: ")
        while not (reader.at_eof() or reader.exception()):
            writer.write(b"x")
            await asyncio.sleep(0.1)
        assert 0.9 < time.monotonic() - begin < 5.0
        writer.close()

    run(folder, story)


def test_stopping_does_not_wait_for_a_client(folder: Path) -> None:
    async def story() -> float:
        async with served(folder) as world:
            _, writer = await asyncio.open_unix_connection(world.control)
            writer.write(b"POST /operate HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0.1)
            begin = time.monotonic()
        writer.close()
        return time.monotonic() - begin

    assert asyncio.run(story()) < 5.0


# -- the sockets ------------------------------------------------------------------------------------------------------


def test_socket_is_for_its_owner_and_group_and_goes_with_the_session(folder: Path) -> None:
    async def story(world: World) -> None:
        mode = world.control.stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o660

    run(folder, story)
    assert not (folder / "desk.sock").exists()


def test_socket_of_a_killed_session_gives_way(folder: Path) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(folder / "desk.sock"))
    left.close()  # the file stays

    async def story(world: World) -> None:
        assert (await world.post("/reload", b""))[0] == 200

    run(folder, story)


def test_socket_of_a_running_session_stays_its_own(folder: Path) -> None:
    async def story(world: World) -> None:
        with pytest.raises(ListenError, match="another session answers there"):
            async with serve(Desk(), Health(), CollectorRegistry(), None, world.control):
                pass
        assert (await world.post("/reload", b""))[0] == 200

    run(folder, story)


def test_file_that_is_no_socket_is_not_removed(folder: Path) -> None:
    precious = folder / "desk.sock"
    precious.write_text("precious")

    async def story(world: World) -> None:
        raise AssertionError("it was served")

    with pytest.raises(ListenError, match="no socket"):
        run(folder, story)
    assert precious.read_text() == "precious"


@pytest.mark.parametrize(
    ("listen", "control", "said"),
    [
        (None, "x" * 200 + ".sock", "at most 107 bytes"),
        (None, "file/desk.sock", "service.control"),
        ("127.0.0.1:{taken}", "desk.sock", "Address already in use; set another service.listen"),
        ("no-such-host.invalid:80", "desk.sock", "service.listen"),
    ],
)
def test_place_that_cannot_be_had_is_told_with_its_field(
    folder: Path, listen: str | None, control: str, said: str
) -> None:
    (folder / "file").write_text("")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        at = listen.format(taken=taken.getsockname()[1]) if listen else None

        async def story() -> None:
            async with serve(Desk(), Health(), CollectorRegistry(), at, folder / control):
                pass

        with pytest.raises(ListenError, match=said):
            asyncio.run(story())
    assert not (folder / "desk.sock").exists()


# -- the commands -----------------------------------------------------------------------------------------------------


def test_commands_do_what_they_say_in_the_name_of_who_gives_them(folder: Path) -> None:
    async def story(world: World) -> None:
        at = ("--socket", str(world.control))
        me = f"ann@{socket.gethostname()}"
        code, out, _ = await world.command("halt", "desk", "coins", "--reason", "news", *at)
        assert (code, out.splitlines()[0]) == (
            0,
            "desk is halted: exits only, and what worked is cancelled (seq 1,001)",
        )
        assert (await world.command("resume", "--all", *at))[0] == 0
        assert (await world.command("resume", "desk", "--reduce-only", "--reason", "slowly", *at))[0] == 0
        assert (await world.command("flatten", "desk", "--reason", "out", "--yes", *at))[0] == 0
        code, out, _ = await world.command("reload", *at)
        assert (code, out) == (0, "changed: accounts.0.limits\n")
        assert world.desk.asked == [
            ("desk", "halt", "news", me),
            ("coins", "halt", "news", me),
            ("desk", "reset", "resumed by the operator", me),
            ("coins", "reset", "resumed by the operator", me),
            ("desk", "reduce_only", "slowly", me),
            ("desk", "flatten", "out", me),
            ("reload",),
        ]

    run(folder, story)


def test_reload_that_needs_a_restart_ends_with_1(folder: Path) -> None:
    async def story(world: World) -> None:
        world.desk.reloaded = {"changed": [], "needs_restart": ["instruments"]}
        code, _, err = await world.command("reload", "--socket", str(world.control))
        assert (code, "these need a restart: instruments" in err) == (1, True)

    run(folder, story)


def test_refused_command_ends_with_1_and_the_others_are_done(folder: Path) -> None:
    async def story(world: World) -> None:
        code, _, err = await world.command(
            "halt", "dsek", "coins", "--reason", "x", "--socket", str(world.control)
        )
        assert (code, "there is no account 'dsek'; there are desk, coins" in err) == (1, True)
        assert [asked[0] for asked in world.desk.asked] == ["coins"]

    run(folder, story)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["halt", "--reason", "x"], "name the accounts"),
        (["halt", "desk", "--all", "--reason", "x"], "name the accounts"),
        (["halt", "desk"], "--reason"),
        (["halt", "desk", "--reason", " "], "--reason is empty"),
        (["flatten", "desk", "--reason", "x"], "confirm it with --yes"),
        (["status", "--config", "x.yaml"], "not both"),
    ],
)
def test_wrong_use_ends_with_2_and_does_nothing(folder: Path, arguments: list[str], said: str) -> None:
    async def story(world: World) -> None:
        code, _, err = await world.command(*arguments, "--socket", str(world.control))
        assert (code, said in err) == (2, True), err
        assert world.desk.asked == []

    run(folder, story)


def test_status_is_a_screen_or_json(folder: Path) -> None:
    async def story(world: World) -> None:
        at = ("--socket", str(world.control))
        code, out, _ = await world.command("status", "--json", *at)
        assert (code, json.loads(out)) == (0, world.desk.told)
        code, out, _ = await world.command("status", *at)
        assert code == 0
        assert "desk-1 is running, ready" in out
        assert "1,100.00  USD" in out

    run(folder, story)


def test_nobody_there_ends_with_1_and_says_what_to_do(folder: Path) -> None:
    async def story(world: World) -> None:
        code, _, err = await world.command("status", "--socket", str(folder / "none.sock"))
        assert (code, "is the session running?" in err) == (1, True)
        left = socket.socket(socket.AF_UNIX)
        left.bind(str(folder / "left.sock"))
        left.close()
        code, _, err = await world.command(
            "halt", "desk", "--reason", "x", "--socket", str(folder / "left.sock")
        )
        assert (code, "nobody answers" in err) == (1, True)

    run(folder, story)
