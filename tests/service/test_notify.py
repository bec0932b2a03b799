"""Notifications to real servers on this machine, with the faults that real ones have."""

import asyncio
import hashlib
import hmac
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter
from structlog.testing import capture_logs

from daemon import logs
from daemon.bus import Bus
from daemon.config.notify import NotifyConfig
from daemon.feeds.clock import SystemClock
from daemon.live.messages import Committed, Notice
from daemon.notify import mail
from daemon.notify.digest import Digest, Message
from daemon.notify.errors import NotifyError, Undelivered
from daemon.notify.http import Poster
from daemon.notify.notifier import Notifier
from daemon.notify.senders import Telegram, Webhook, sender
from daemon.notify.telling import Line, Told
from daemon.store.batch import Batch
from engine.records import EVENT, NONE, SECOND, Code, EventKind
from engine.spec import AccountSpec, EngineSpec, InstrumentSpec, StrategySpec
from tests.builders import MINUTE, make_engine, make_ticks

NOON = 1_767_268_800 * SECOND  # 2026-01-01 12:00:00 UTC
TOKEN = "123456:AAE-not-a-real-token_x"
SPEC = EngineSpec(
    (InstrumentSpec("A"),),
    (AccountSpec("a", 1e6), AccountSpec("b", 1e6)),
    (StrategySpec("a/s", "a", ("A",), MINUTE),),
)


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy stands between this machine and itself."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


async def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not come about"
        await asyncio.sleep(0.01)


def run(story: Coroutine[Any, Any, None]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(60):
            await story

    asyncio.run(limited())


@dataclass(frozen=True)
class Reply:
    """One answer of the web server."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    silent: bool = False  # it hangs
    closes: bool = False  # it hangs up without an answer
    endless: bool = False  # its body has no end


@dataclass
class Request:
    """What the web server was asked."""

    line: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class WebServer:
    """Answers with these, the last again and again."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies) or [Reply(body={"ok": True})]
        self.asked: list[Request] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def until(self, n: int, seconds: float = 20) -> None:
        await until(lambda: len(self.asked) >= n, seconds)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *rest = head.decode().strip().split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (h.partition(":") for h in rest)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.asked.append(Request(first, headers, body, time.monotonic()))
                reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
                if reply.silent:
                    await asyncio.Event().wait()
                if reply.closes:
                    return
                await self._answer(writer, reply)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, reply: Reply) -> None:
        content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        length = 10**12 if reply.endless else len(content)
        lines = [
            f"HTTP/1.1 {reply.status} X",
            f"Content-Length: {length}",
            *(f"{k}: {v}" for k, v in reply.headers.items()),
        ]
        writer.write("\r\n".join([*lines, "", ""]).encode() + content)
        await writer.drain()
        while reply.endless:
            writer.write(b"x" * 65_536)
            await writer.drain()


@asynccontextmanager
async def web(*replies: Reply) -> AsyncIterator[WebServer]:
    server = WebServer(*replies)
    async with listening(server.talk) as server.port:
        yield server


@asynccontextmanager
async def listening(
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]],
    context: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    """A server on a free port; what it still does at the end is broken off."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(talk(reader, writer))
        tasks.add(task)
        await asyncio.wait([task])

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.01)  # transports close a moment later


def a_message(event: Any = "fills", text: str = "bought 1 <A> & more") -> Message:
    digest = Digest()
    digest.add(
        Told(event, "a", 3, lambda i: Line(event, NOON, text, "a", facts={"seq": 7 + i, "price": 1.5}))
    )
    return digest.take("demo", NOON)


def telegram(url: str, **environ: str) -> Telegram:
    (target,) = TypeAdapter(NotifyConfig).validate_python([{"target": "telegram", "chat": -100, "url": url}])
    found = sender(target, {"TELEGRAM_TOKEN": TOKEN, **environ})
    assert isinstance(found, Telegram)
    return found


def webhook(url: str, environ: dict[str, str] | None = None, **config: Any) -> Webhook:
    given = {"target": "webhook", **({} if "url_env" in config else {"url": url}), **config}
    (target,) = TypeAdapter(NotifyConfig).validate_python([given])
    found = sender(target, environ or {})
    assert isinstance(found, Webhook)
    return found


# ---- forms


def test_generic_webhook_has_all_facts_and_a_signature_that_holds() -> None:
    async def story() -> None:
        async with web() as server:
            hook = webhook(f"{server.url}/hook?x=1", {"KEY": "k3y"}, secret_env="KEY")
            message = a_message()
            await hook.send(message)
            await hook.close()
        (request,) = server.asked
        assert request.line == "POST /hook?x=1 HTTP/1.1"
        assert request.headers["content-type"] == "application/json"
        stamp = request.headers["x-papertape-timestamp"]
        assert abs(time.time() - int(stamp)) < 60
        wanted = hmac.new(b"k3y", stamp.encode() + b"." + request.body, hashlib.sha256).hexdigest()
        assert request.headers["x-papertape-signature"] == f"sha256={wanted}"
        assert request.json == {
            "id": message.id,
            "session": "demo",
            "ts": "2026-01-01T12:00:00Z",
            "subject": "demo: 3 fills",
            "text": "demo: 3 fills" + 3 * "\n2026-01-01 12:00:00 UTC  bought 1 <A> & more",
            "counts": {"fills": 3},
            "events": [
                {"event": "fills", "ts": "2026-01-01T12:00:00Z", "account": "a", "level": None,
                 "text": "bought 1 <A> & more", "seq": seq, "price": 1.5}
                for seq in (7, 8, 9)
            ],
        }  # fmt: skip

    run(story())


def test_slack_discord_and_telegram_get_a_text_in_their_own_form() -> None:
    async def story() -> None:
        async with web() as server:
            for form in ("slack", "discord"):
                hook = webhook("", {"HOOK": f"{server.url}/{form}"}, url_env="HOOK", format=form)
                await hook.send(a_message(text="a_b *@everyone* <A>"))
                await hook.close()
            bot = telegram(server.url)
            await bot.send(a_message(text="a_b <A>"))
            await bot.close()
        slack, discord, chat = server.asked
        assert "a_b *@everyone* &lt;A&gt;" in slack.json["text"]
        assert slack.json["mrkdwn"] is False
        assert r"a\_b \*\@everyone\* <A\>" in discord.json["content"]
        assert discord.json["allowed_mentions"] == {"parse": []}
        assert chat.line == f"POST /bot{TOKEN}/sendMessage HTTP/1.1"
        assert chat.json["chat_id"] == "-100"
        assert "a_b <A>" in chat.json["text"]

    run(story())


def test_long_messages_keep_to_what_the_services_take() -> None:
    digest = Digest()
    for i in range(20):
        digest.add(Told.of(Line("fills", NOON + i, "\U0001f600_" * 150, "a")))
    message = digest.take("demo", NOON)

    async def story() -> None:
        async with web() as server:
            hook = webhook("", {"HOOK": server.url}, url_env="HOOK", format="discord")
            bot = telegram(server.url)
            await hook.send(message)
            await bot.send(message)
            await hook.close()
            await bot.close()
        discord, chat = (r.json.get("content") or r.json["text"] for r in server.asked)
        # a character beyond the first plane counts as two
        assert 300 < len(discord.encode("utf-16-le")) / 2 <= 2000
        assert 300 < len(chat.encode("utf-16-le")) / 2 <= 4096

    run(story())


# ---- faults of web servers


@pytest.mark.parametrize(
    ("reply", "final", "after_s", "why"),
    [
        (Reply(429, {}, {"Retry-After": "7"}), False, 7.0, "127.0.0.1 answered HTTP 429: {}"),
        (Reply(429, {"retry_after": 1.25, "message": "slow"}), False, 1.25, "127.0.0.1 answered HTTP 429: slow"),
        (Reply(429, {"ok": False, "description": "Too Many Requests", "parameters": {"retry_after": 5}}), False, 5.0, "127.0.0.1 answered HTTP 429: Too Many Requests"),
        (Reply(500, b"oh\x00dear"), False, 0.0, "127.0.0.1 answered HTTP 500: oh dear"),
        (Reply(503, b""), False, 0.0, "127.0.0.1 answered HTTP 503"),
        (Reply(401, {"description": f"Unauthorized /bot{TOKEN}/"}), True, 0.0, "127.0.0.1 answered HTTP 401: Unauthorized /bot(the token)/"),
        (Reply(404, b"", {"Retry-After": "7"}), True, 0.0, "127.0.0.1 answered HTTP 404"),
        (Reply(302, b"", {"Location": "http://127.0.0.1:1/steal"}), True, 0.0, "127.0.0.1 answered HTTP 302"),
        (Reply(200, {"ok": False}), False, 0.0, "the answer is not that of Telegram's bots"),
        (Reply(200, b"<html>Please log in"), False, 0.0, "the answer is not that of Telegram's bots"),
        (Reply(silent=True), False, 0.0, "127.0.0.1 does not answer within 0.5 s"),
        (Reply(closes=True), False, 0.0, "127.0.0.1 cannot be reached: ServerDisconnectedError"),
    ],
)  # fmt: skip
def test_refusal_says_whether_and_when_to_try_again_and_never_the_token(
    reply: Reply, final: bool, after_s: float, why: str
) -> None:
    async def story() -> None:
        async with web(reply) as server:
            bot = telegram(server.url)
            bot._poster = Poster(timeout_s=0.5)
            with pytest.raises(Undelivered) as caught:
                await bot.send(a_message())
            await bot.close()
        assert (str(caught.value), caught.value.final, caught.value.after_s) == (why, final, after_s)
        assert caught.value.__cause__ is None
        assert len(server.asked) <= 2  # aiohttp itself tries once more where a kept connection had gone

    run(story())


def test_nobody_there_is_told_without_the_address() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    async def story() -> None:
        bot = telegram(f"http://127.0.0.1:{port}")
        with pytest.raises(
            Undelivered, match=r"^127\.0\.0\.1 cannot be reached: Connection refused$"
        ) as caught:
            await bot.send(a_message())
        await bot.close()
        assert not caught.value.final

    run(story())


def test_endless_answer_is_read_no_further_than_its_beginning() -> None:
    async def story() -> None:
        async with web(Reply(500, b"y" * 10_000, endless=True)) as server:
            hook = webhook(server.url)
            with pytest.raises(Undelivered) as caught:
                await hook.send(a_message())
            await hook.close()
        assert len(str(caught.value)) < 300

    run(story())


# ---- e-mail


class MailServer:
    """Speaks SMTP. refuse: an answer instead of the usual one, by command. hangs: at this command it says no more."""

    def __init__(
        self,
        refuse: dict[str, str] | None = None,
        hangs: str = "",
        tls: ssl.SSLContext | None = None,
        user: str = "",
    ) -> None:
        self.refuse = refuse or {}
        self.hangs = hangs
        self.tls = tls
        self.user = user
        self.commands: list[str] = []
        self.mails: list[EmailMessage] = []
        self.port = 0
        self.encrypted = False

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self.hangs == "CONNECT":
                await asyncio.Event().wait()
            await self._say(writer, "220 desk ESMTP")
            while line := (await reader.readline()).decode().strip():
                verb = line.split(":")[0].split(" ")[0].upper()
                self.commands.append(verb)
                if verb == self.hangs:
                    await asyncio.Event().wait()
                if verb in self.refuse:
                    await self._say(writer, self.refuse[verb])
                elif verb == "EHLO":
                    offers = [
                        *(["STARTTLS"] if self.tls and not self.encrypted else []),
                        *(["AUTH PLAIN"] if self.user else []),
                    ]
                    names = ["desk", *offers]
                    for i, name in enumerate(names):
                        await self._say(writer, f"250{' ' if i == len(names) - 1 else '-'}{name}")
                elif verb == "STARTTLS" and self.tls is not None:
                    await self._say(writer, "220 go on")
                    await writer.start_tls(self.tls)
                    self.encrypted = True
                elif verb == "DATA":
                    await self._say(writer, "354 go on")
                    self.mails.append(
                        message_from_bytes(await reader.readuntil(b"\r\n.\r\n"), policy=policy.default)
                    )
                    await self._say(writer, "250 taken")
                elif verb == "AUTH":
                    await self._say(
                        writer, "235 welcome" if line.split()[-1] == self.user else "535 5.7.8 no"
                    )
                else:
                    await self._say(writer, "221 bye" if verb == "QUIT" else "250 ok")
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    async def _say(self, writer: asyncio.StreamWriter, text: str) -> None:
        writer.write(text.encode() + b"\r\n")
        await writer.drain()


def mailbox(
    port: int,
    environ: dict[str, str] | None = None,
    step_s: float = 5.0,
    timeout_s: float = 10.0,
    **config: Any,
) -> mail.Mail:
    given = {"target": "email", "host": "127.0.0.1", "port": port, "security": "none", "sender": "tape@example.org",
             "to": ["desk@example.org", "night@example.org"], **config}  # fmt: skip
    (target,) = TypeAdapter(NotifyConfig).validate_python([given])
    return mail.Mail(target, environ or {}, step_s, timeout_s)  # type: ignore[arg-type] # it is one of e-mail


def test_mail_has_its_subject_text_and_a_number_that_stays() -> None:
    async def story() -> None:
        server = MailServer()
        async with listening(server.talk) as port:
            message = a_message(text="bought 1 Ä")
            box = mailbox(port)
            await box.send(message)
            await box.send(message)
        first, again = server.mails
        assert first["Subject"] == "[papertape] demo: 3 fills"
        assert first["To"] == "desk@example.org, night@example.org"
        assert first["Auto-Submitted"] == "auto-generated"
        assert first["Message-ID"] == again["Message-ID"] == f"<{message.id}@example.org>"
        assert "2026-01-01 12:00:00 UTC  bought 1 Ä" in first.get_content()

    run(story())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1, and its key, in one file."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed; on Debian: apt-get install openssl")
    folder = tmp_path_factory.mktemp("certificate")
    made = folder / "made.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
               "-subj", "/CN=desk", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"]  # fmt: skip
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    made.write_text((folder / "key.pem").read_text() + (folder / "cert.pem").read_text())
    return made


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_mail_is_encrypted_before_the_password_goes(
    security: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    async def story() -> None:
        # "\0me\0pass" in base64
        server = MailServer(tls=context if security == "starttls" else None, user="AG1lAHBhc3M=")
        async with listening(server.talk, context if security == "tls" else None) as port:
            await mailbox(port, {"SMTP_PASSWORD": "pass"}, security=security, user="me").send(a_message())
            assert len(server.mails) == 1
            if security == "starttls":
                assert server.commands.index("STARTTLS") < server.commands.index("AUTH")
            wrong = mailbox(port, {"SMTP_PASSWORD": "wrong"}, security=security, user="me")
            server.encrypted = False
            with pytest.raises(Undelivered, match="does not accept the user or password") as caught:
                await wrong.send(a_message())
            assert caught.value.final
            assert "wrong" not in str(caught.value)

    run(story())


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_mail_is_not_sent_to_a_server_whose_certificate_nobody_knows(
    security: str, certificate: Path
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    async def story() -> None:
        server = MailServer(tls=context if security == "starttls" else None)
        async with listening(server.talk, context if security == "tls" else None) as port:
            with pytest.raises(Undelivered, match=r"the certificate of 127\.0\.0\.1 does not hold"):
                await mailbox(port, security=security).send(a_message())
        assert "MAIL" not in server.commands

    run(story())


@pytest.mark.parametrize(
    ("refuse", "final", "why"),
    [
        ({"MAIL": "451 4.3.0 later"}, False, "127.0.0.1 refuses it (451 4.3.0 later)"),
        ({"MAIL": "550 5.1.8 who"}, True, "127.0.0.1 refuses it (550 5.1.8 who)"),
        ({"RCPT": "550 5.1.1 nobody"}, True, "127.0.0.1 takes none of the addresses (550 5.1.1 nobody)"),
        ({"RCPT": "450 greylisted"}, False, "127.0.0.1 takes none of the addresses (450 greylisted)"),
        ({"DATA": "554 no"}, True, "127.0.0.1 refuses it (554 no)"),
    ],
)
def test_mail_servers_refusal_says_whether_to_try_again(
    refuse: dict[str, str], final: bool, why: str
) -> None:
    async def story() -> None:
        server = MailServer(refuse)
        async with listening(server.talk) as port:
            with pytest.raises(Undelivered) as caught:
                await mailbox(port).send(a_message())
        assert (str(caught.value), caught.value.final) == (why, final)

    run(story())


def test_mail_server_without_encryption_gets_nothing() -> None:
    async def story() -> None:
        server = MailServer()
        async with listening(server.talk) as port:
            with pytest.raises(Undelivered, match="does not offer STARTTLS") as caught:
                await mailbox(port, security="starttls").send(a_message())
        assert caught.value.final
        assert "MAIL" not in server.commands

    run(story())


@pytest.mark.parametrize("hangs", ["CONNECT", "EHLO", "DATA"])
def test_mail_server_that_hangs_is_given_up(hangs: str) -> None:
    async def story() -> None:
        server = MailServer(hangs=hangs)
        async with listening(server.talk) as port:
            began = time.monotonic()
            with pytest.raises(Undelivered, match=r"(has not taken it within 0\.3 s|timed out|broke off)"):
                await mailbox(port, timeout_s=0.3).send(a_message())
            assert time.monotonic() - began < 3

    run(story())


# ---- all together


def committed(kind: int, n: int = 1, **fields: Any) -> Committed:
    """A batch with n events of a kind."""
    events = np.zeros(n, EVENT)
    for name, value in {
        "ts": NOON,
        "observation": NONE,
        "kind": kind,
        "lots": 1,
        "last_lots": 1,
        "side": 1,
        **fields,
    }.items():
        events[name] = value
    ticks = make_ticks([(NOON, 100.0)])
    out = make_engine().take_events()._replace(events=events)
    return Committed(Batch(1, ticks, out, np.zeros(0)), NOON, NOON, NOON)


def notifier(targets: Sequence[dict[str, Any]], flush_s: float = 5.0) -> Notifier:
    config = TypeAdapter(NotifyConfig).validate_python(list(targets))
    environ = {"TELEGRAM_TOKEN": TOKEN}
    return Notifier(config, SPEC, SystemClock(), session="demo", environ=environ, flush_s=flush_s)


def test_dead_target_holds_up_neither_the_bus_nor_another_target() -> None:
    async def story() -> None:
        async with web(Reply(silent=True)) as dead, web() as living:
            targets: list[dict[str, Any]] = [
                {"target": "telegram", "chat": 1, "url": dead.url, "every": "1s"},
                {"target": "webhook", "url": living.url, "every": "1s"},
            ]
            with capture_logs() as logged:
                async with notifier(targets, flush_s=0.5) as told, Bus() as bus:
                    told.subscribe(bus)
                    began = time.monotonic()
                    for _ in range(2000):
                        await bus.publish(committed(EventKind.FILL, 5))
                    assert time.monotonic() - began < 30  # one attempt at the dead one takes 10
                    await living.until(1)
                    dead_figures, living_figures = told.figures()
                    assert sum(s.dropped for s in bus.subscriptions) == 0
            assert dead_figures.dropped == 10_000
            assert (living_figures.dropped, living_figures.waiting) == (0, 0)
            assert sum(r.json["counts"]["fills"] for r in living.asked) == 10_000
            assert logged[-1]["event"] == "notification dropped"
            assert TOKEN not in str(logged)

    run(story())


def test_many_fills_are_one_message_and_a_halt_is_in_it() -> None:
    async def story() -> None:
        async with (
            web() as server,
            notifier([{"target": "webhook", "url": server.url, "every": "1s"}]) as told,
            Bus() as bus,
        ):
            told.subscribe(bus)
            await bus.publish(committed(EventKind.FILL))
            await server.until(1)
            for _ in range(50):
                await bus.publish(committed(EventKind.FILL))
            await bus.publish(committed(EventKind.STATE, code=Code.DRAWDOWN, lots=2, strategy=NONE))
            await bus.publish(Notice("error", "database", "is away", NOON))
            await server.until(2)
        first, second = (r.json for r in server.asked)
        assert first["counts"] == {"fills": 1}
        assert second["counts"] == {"fills": 50, "halts": 1, "notices": 1}
        assert second["subject"] == "demo: 1 change of trading state, 1 notice, 50 fills"
        assert server.asked[1].at - server.asked[0].at > 0.9

    run(story())


def test_target_that_fails_at_first_gets_the_same_message_later() -> None:
    async def story() -> None:
        replies = Reply(500), Reply(429, {}, {"Retry-After": "1"}), Reply(200, {"ok": True})
        config = {"target": "telegram", "chat": 1}
        async with web(*replies) as server, notifier([{**config, "url": server.url}]) as told, Bus() as bus:
            told.subscribe(bus)
            await bus.publish(committed(EventKind.FILL))
            await server.until(3)
            (figures,) = told.figures()
            await until(lambda: figures.sent > 0)
        assert len({r.body for r in server.asked}) == 1
        assert (figures.sent, figures.failed, figures.dropped) == (1, 2, 0)

    run(story())


def test_leaving_delivers_what_waits_and_gives_up_after_a_while() -> None:
    async def story() -> None:
        async with web() as living, web(Reply(silent=True)) as dead:
            targets = [{"target": "webhook", "url": s.url, "every": "1h"} for s in (living, dead)]
            began = time.monotonic()
            async with notifier(targets, flush_s=0.5) as told, Bus() as bus:
                told.subscribe(bus)
                await bus.publish(committed(EventKind.FILL))
                await living.until(1)
                await bus.publish(committed(EventKind.FILL, 3))
            assert time.monotonic() - began < 5
            assert [r.json["counts"]["fills"] for r in living.asked] == [1, 3]
            assert [f.dropped for f in told.figures()] == [0, 4]

    run(story())


def test_other_targets_take_over_without_a_restart_and_a_wrong_one_changes_nothing() -> None:
    async def story() -> None:
        async with web() as old, web() as new:
            async with notifier([{"target": "webhook", "url": old.url, "every": "1h"}]) as told, Bus() as bus:
                told.subscribe(bus)
                unset = [{"target": "telegram", "chat": 1, "token_env": "UNSET"}]
                with pytest.raises(NotifyError, match="UNSET is not set"):
                    await told.replace(TypeAdapter(NotifyConfig).validate_python(unset))
                await bus.publish(committed(EventKind.FILL))
                await old.until(1)
                await bus.publish(committed(EventKind.FILL, 2))
                await until(lambda: told.figures()[0].waiting > 0)
                target = {"target": "webhook", "url": new.url}
                await told.replace(TypeAdapter(NotifyConfig).validate_python([target]))
                await bus.publish(committed(EventKind.FILL, 3))
                await new.until(1)
            assert [r.json["counts"]["fills"] for r in old.asked] == [1, 2]
            assert [r.json["counts"]["fills"] for r in new.asked] == [3]

    run(story())


def test_secret_that_is_not_there_is_told_at_the_start() -> None:
    config = TypeAdapter(NotifyConfig).validate_python([{"target": "telegram", "chat": 1}])
    with pytest.raises(NotifyError, match="TELEGRAM_TOKEN is not set"):
        Notifier(config, SPEC, SystemClock(), environ={})


def test_secrets_of_targets_are_hidden_in_every_log_from_then_on() -> None:
    config = TypeAdapter(NotifyConfig).validate_python([{"target": "telegram", "chat": 1}])
    token = "987654:not-seen-before"
    Notifier(config, SPEC, SystemClock(), environ={"TELEGRAM_TOKEN": token})
    assert logs.clean({"url": f"https://api.example.org/bot{token}/x"}) == {
        "url": "https://api.example.org/bot(hidden)/x"
    }


def test_no_process_waits_for_a_mail_server_that_hangs() -> None:
    code = (
        "import asyncio, sys, time\n"
        "from pydantic import TypeAdapter\n"
        "from daemon.config.notify import NotifyConfig\n"
        "from daemon.notify.mail import Mail\n"
        "from daemon.notify.digest import Digest\n"
        "from daemon.notify.telling import Line, Told\n"
        "given = dict(target='email', host='127.0.0.1', port=int(sys.argv[1]), security='none', sender='a@b', to=['c@d'])\n"
        "(target,) = TypeAdapter(NotifyConfig).validate_python([given])\n"
        "digest = Digest()\n"
        "digest.add(Told.of(Line('fills', 0, 'x')))\n"
        "async def main():\n"
        "    task = asyncio.create_task(Mail(target, {}, 600, 600).send(digest.take('s', 0)))\n"
        "    await asyncio.sleep(0.3)\n"
        "    task.cancel()\n"
        "asyncio.run(main())\n"
        "sys.stdout.write('left')\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        environ = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
        done = subprocess.run(
            [sys.executable, "-c", code, str(port)],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            env=environ,
        )
    assert (done.stdout, done.stderr) == ("left", "")
