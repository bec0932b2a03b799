"""Whether prices would come: the token, the way to Finnhub, or the rows of a replay."""

from __future__ import annotations

import asyncio
import os
import ssl
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from daemon.doctor.findings import Finding, failed, ok, warning

if TYPE_CHECKING:
    from daemon.config.paper import PaperConfig
    from daemon.feeds.secret import Secret

_PATIENCE_S = 10.0
_OFFLINE = "is there a network? --offline leaves this out"


def token(environ: Mapping[str, str]) -> tuple[Secret | None, list[Finding]]:
    """Finnhub's token, None where there is none, and where it comes from; never what it is."""
    from daemon.feeds.secret import Secret
    from daemon.fetch.errors import FetchError
    from daemon.fetch.finnhub_rest import key_of

    if not (environ.get("FINNHUB_API_KEY", "").strip() or environ.get("FINNHUB_API_KEY_FILE")):
        hint = "put it into FINNHUB_API_KEY, or into a file that FINNHUB_API_KEY_FILE names"
        return None, [failed("token", f"there is none; a free one will do: {hint}")]
    try:
        found = Secret(key_of(environ))
    except FetchError as error:
        return None, [failed("token", str(error))]
    if environ.get("FINNHUB_API_KEY", "").strip():
        beside = "; FINNHUB_API_KEY_FILE is not looked at" if environ.get("FINNHUB_API_KEY_FILE") else ""
        return found, [ok("token", f"is in FINNHUB_API_KEY{beside}")]
    path = Path(environ["FINNHUB_API_KEY_FILE"])
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o007:
        return found, [
            warning("token", f"{path} is open to all users (mode {mode:03o}); run `chmod 600 {path}`")
        ]
    return found, [ok("token", f"is in {path}, mode {mode:03o}")]


async def finnhub(url: str, secret: Secret | None, runs: bool) -> list[Finding]:
    """Whether the websocket can be reached, step by step. runs: a session does; its connection is left alone."""
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme == "wss"
    number = parts.port or (443 if secure else 80)
    began = time.monotonic()
    if problem := await _way(host, number, secure):
        return [failed("feed", f"{url}: {problem}")]
    way = "name, connection and TLS are" if secure else "name and connection are"
    if runs:
        return [
            ok(
                "feed",
                f"{url}: {way} well; not spoken to, for a session runs, and a token has one connection",
            )
        ]
    if secret is None:
        return [warning("feed", f"{url}: {way} well; without a token it cannot be spoken to")]
    if problem := await _spoken(url, secret):
        return [failed("feed", f"{url}: {problem}")]
    return [ok("feed", f"{url} takes the token; {way} well, {1000 * (time.monotonic() - began):.0f} ms")]


async def _way(host: str, number: int, secure: bool) -> str:
    """What is wrong on the way to a server; empty where nothing is."""
    try:
        await asyncio.get_running_loop().getaddrinfo(host, number)
    except OSError as error:
        return f"the name {host} is not known ({error.strerror}); {_OFFLINE}"
    for tls in (False, True) if secure else (False,):
        what = "TLS with" if tls else "a connection to"
        try:
            async with asyncio.timeout(_PATIENCE_S):
                _, writer = await asyncio.open_connection(host, number, ssl=tls or None)
        except ssl.SSLCertVerificationError as error:
            hint = "is the clock right, and are the system's certificates there (ca-certificates)?"
            return f"the certificate of {host} is not trusted ({error.verify_message}); {hint}"
        except TimeoutError:
            return f"{what} {host}:{number} has no answer within {_PATIENCE_S:g} s; does a firewall drop it?"
        except OSError as error:
            return f"{what} {host}:{number} fails ({error.strerror or error}); {_OFFLINE}"
        writer.close()
    return ""


async def _spoken(url: str, secret: Secret) -> str:
    from daemon.feeds.errors import NotConnected
    from daemon.feeds.finnhub_socket import connect

    try:
        connection = await connect(url, secret)
    except NotConnected as fault:
        if fault.status in (401, 403):
            return f"the token is not accepted ({fault}); look at it on the page of your account"
        if fault.status == 429:
            return f"it is asked too often ({fault}); wait a minute, and see that nobody else uses the token"
        return f"the handshake fails ({fault}); is it the address of Finnhub's websocket?"
    await connection.close()
    return ""


def replay(config: PaperConfig) -> Iterator[Finding]:
    """Whether there are rows to play from start on, of each instrument."""
    from daemon.config.spec import sources
    from daemon.config.types import ns_of
    from daemon.data.errors import DataError
    from daemon.data.feed import MIN_BLOCK_ROWS, open_stream

    assert config.start
    start = ns_of(config.start)
    first: dict[str, int] = {}
    try:
        for source in sources(config):
            rows, _ = next(open_stream([replace(source, start=start)]).columns(MIN_BLOCK_ROWS))
            first[source.name] = min(int(rows[0]), first.get(source.name, int(rows[0])))
    except DataError as error:
        yield failed("feed", str(error))
        return
    late = {name: ts for name, ts in first.items() if ts - min(first.values()) > 7 * 86_400 * 10**9}
    begins = _moment(min(first.values()))
    if late:
        shown = ", ".join(f"{name} on {_moment(ts)}" for name, ts in late.items())
        yield warning(
            "feed", f"the replay begins on {begins}, {shown}; choose a later start where that is not meant"
        )
    else:
        yield ok("feed", f"the replay begins on {begins}, with {', '.join(first)}")


def secrets(config: PaperConfig, environ: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Whether the secrets of those who are notified are there."""
    from daemon.config.notify import names
    from daemon.notify.secrets import missing

    found = [
        failed("notify", f"{name}: {problem}")
        for name, target in zip(names(config.notify), config.notify, strict=True)
        for problem in missing(target, environ)
    ]
    if found:
        yield from found
    elif config.notify:
        yield ok("notify", f"what {', '.join(names(config.notify))} need is there")


def _moment(ns: int) -> str:
    return f"{datetime.fromtimestamp(ns // 10**9, UTC):%Y-%m-%d %H:%M}".removesuffix(" 00:00")
