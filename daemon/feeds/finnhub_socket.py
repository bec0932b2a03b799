"""Finnhub's websocket by the library websockets, with its errors in our words and its log shut.

The log is shut because the library writes requests into it, and the token is part of Finnhub's address.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol, TypeAlias
from urllib.parse import quote

from daemon.feeds.errors import Lost, NotConnected
from daemon.feeds.secret import Secret

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

# Of a frame: a larger one ends the connection; one that is smaller is read, and the protocol has its own limit.
MOST_BYTES = 16 << 20
OPEN_S, CLOSE_S = 10.0, 1.0  # for a handshake, and for a farewell
# No child of another logger, so that nobody's settings open it.
_SILENT = logging.Logger("websockets of papertape", logging.CRITICAL + 1)  # noqa: LOG001


class Connection(Protocol):
    """One connection to the venue."""

    async def recv(self) -> bytes:
        """The next frame. Raises Lost."""

    async def send(self, text: str) -> None:
        """Send a frame of text. Raises Lost."""

    async def close(self) -> None:
        """End it, within about a second, whatever the other side does; a second time changes nothing."""


Connect: TypeAlias = Callable[[str, Secret], Awaitable[Connection]]


async def connect(url: str, token: Secret) -> Connection:
    """Connect to a websocket's address, of which the token becomes the query. Raises NotConnected.

    The handshake has ten seconds. Pings of the websocket's own are off: an answer to them says nothing about prices.
    """
    import websockets.asyncio.client as ws
    from websockets.exceptions import InvalidStatus, WebSocketException

    from daemon.fetch.patience import retry_after

    try:
        opened = await ws.connect(
            f"{url}?token={quote(token.reveal(), safe='')}",
            compression=None,
            open_timeout=OPEN_S,
            close_timeout=CLOSE_S,
            ping_interval=None,
            max_size=MOST_BYTES,
            logger=_SILENT,
        )
    except InvalidStatus as error:  # `from None`: their errors may hold the address
        response = error.response
        wait = retry_after(response.headers.get("Retry-After"), time.time_ns())
        raise NotConnected(f"HTTP {response.status_code}", response.status_code, wait) from None
    except TimeoutError:
        raise NotConnected(f"no answer within {OPEN_S:g} s") from None
    except (OSError, WebSocketException) as error:
        raise NotConnected(token.clean(f"{type(error).__name__}: {error}")) from None
    return _Socket(opened, token)


class _Socket:
    def __init__(self, connection: ClientConnection, token: Secret) -> None:
        from websockets.exceptions import ConnectionClosed

        self._connection = connection
        self._token = token
        self._closed = ConnectionClosed

    async def recv(self) -> bytes:
        try:
            return await self._connection.recv(decode=False)
        except self._closed as error:
            raise Lost(self._token.clean(str(error))) from None

    async def send(self, text: str) -> None:
        try:
            await self._connection.send(text)
        except self._closed as error:
            raise Lost(self._token.clean(str(error))) from None

    async def close(self) -> None:
        await self._connection.close()
