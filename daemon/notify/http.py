"""Posting to web servers: one answer or one reason why not, without anything secret in it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from daemon.fetch.patience import retry_after
from daemon.notify.errors import Undelivered

if TYPE_CHECKING:
    import aiohttp

TIMEOUT_S = 10.0
LONGEST_ANSWER = 4096  # bytes of it that are read
_AGAIN = (408, 425, 429)  # other than 5xx: the same may be taken later


@dataclass(frozen=True)
class Answer:
    """What the server said: its status, and the beginning of its body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; an empty one where it is none."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


class Poster:
    """Posts JSON, one request at a time, over a connection that is kept."""

    def __init__(self, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Let go of the connection."""
        if self._session is not None:
            await self._session.close()

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], clean: Callable[[str], str]
    ) -> Answer:
        """The answer where the server took it. clean: removes what is secret from its words. Raises Undelivered."""
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
                connector=aiohttp.TCPConnector(limit=1),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "papertape"},
                trust_env=True,  # a proxy, as for all else that goes out
            )
        host = urlsplit(url).hostname
        try:
            # a redirect is not followed: it could lead anywhere, with the token
            async with self._session.post(
                url,
                data=body,
                headers={"Content-Type": "application/json", **headers},
                allow_redirects=False,
            ) as response:
                answer = Answer(response.status, response.headers, await _beginning(response))
        except TimeoutError:  # aiohttp's own is one
            raise Undelivered(f"{host} does not answer within {self._timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # the error's own text may hold the address, and with it a token
            raise Undelivered(f"{host} cannot be reached: {_kind(error)}") from None
        if answer.status < 300:
            return answer
        raise _refusal(str(host), answer, clean)


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    read = b""
    while len(read) < LONGEST_ANSWER and (part := await response.content.read(LONGEST_ANSWER - len(read))):
        read += part
    return read


def _refusal(host: str, answer: Answer, clean: Callable[[str], str]) -> Undelivered:
    given = answer.json()
    said = clean(
        str(given.get("description") or given.get("message") or answer.body.decode("utf-8", "replace"))
    )
    why = f"{host} answered HTTP {answer.status}" + (f": {said}" if said.strip() else "")
    again = answer.status in _AGAIN or answer.status >= 500
    wait = retry_after(answer.headers.get("Retry-After"), time.time_ns()) if again else None
    # Discord says it with fractions, Telegram in parameters
    parameters = given.get("parameters")
    wishes = (
        given.get("retry_after"),
        parameters.get("retry_after") if isinstance(parameters, dict) else None,
    )
    finer = [float(w) for w in wishes if isinstance(w, int | float) and again and 0 <= w < 1e6]
    return Undelivered(why, final=not again, after_s=max([wait or 0.0, *finer]))


def _kind(error: Exception) -> str:
    cause = getattr(error, "os_error", error)
    if isinstance(cause, OSError) and cause.errno is not None and cause.errno > 0:
        return os.strerror(cause.errno)  # its own text may have an address in it
    return type(error).__name__


def as_json(content: Any) -> bytes:
    """Content as the bytes that are sent."""
    return json.dumps(content, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
