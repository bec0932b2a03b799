"""Where the prices of a paper session come from: a history that is played again, or Finnhub's stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

from daemon.config.base import Model, Positive
from daemon.config.types import Duration, InstrumentName

if TYPE_CHECKING:
    from daemon.feeds.finnhub_stream import StreamSettings

_S = 10**9


def _server(schemes: tuple[str, ...]) -> AfterValidator:
    def check(url: str) -> str:
        from urllib.parse import urlsplit

        parts = urlsplit(url)
        if parts.scheme not in schemes or not parts.hostname:
            raise ValueError(
                f"{url!r} is no address of a server; write one such as {schemes[-1]}://example.org"
            )
        if parts.query or parts.username or parts.password:
            raise ValueError(
                "holds more than a server's address; the token comes from FINNHUB_API_KEY or a credential: remove it here"
            )
        return url

    return AfterValidator(check)


class ReplayFeed(Model):
    """History as a live feed: the rows of `data` from `start` on, each when its time comes; what is before warms up."""

    source: Literal["replay"]
    speed: Positive | None = Field(
        default=60.0, description="1: as it happened, 60: an hour a minute, null: as fast as possible."
    )


class FinnhubFeed(Model):
    """Live trades of Finnhub's websocket; `data` only warms up, and may be empty."""

    source: Literal["finnhub"]
    symbols: dict[InstrumentName, str] = Field(
        default={},
        description="What Finnhub calls an instrument: {BTC: 'BINANCE:BTCUSDT'}; the others by their own name.",
    )
    watch: Annotated[tuple[InstrumentName, ...], Field(strict=False)] | None = Field(
        default=None, description="Instruments whose prices are asked for; null: all."
    )
    most_symbols: int = Field(
        default=50, ge=1, le=100_000, description="So many symbols has the plan; the free one 50."
    )
    url: Annotated[str, _server(("ws", "wss"))] = Field(
        default="wss://ws.finnhub.io", description="The websocket's address, without the token."
    )
    rest_url: Annotated[str, _server(("http", "https"))] | None = Field(
        default=None, description="The address that quotes are asked for at; null: Finnhub's."
    )
    quotes: bool = Field(
        default=True,
        description="Whether quotes are asked for while the websocket is down, so that marks stay alive.",
    )
    no_frames: Duration = Field(
        default=150 * _S,
        description="The connection counts as hung when nothing at all came for so long; a ping comes about once a minute.",
        json_schema_extra={"default": "150s"},
    )
    no_prices: Duration = Field(
        default=300 * _S,
        description="The same without a print, of time in which the market of an instrument was open.",
        json_schema_extra={"default": "5m"},
    )
    exclude_conditions: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        default=(),
        description="Trade conditions that form no price: prints that have one of them are left out.",
    )
    drop_late: bool = Field(
        default=True,
        description="Whether prints more than 10 s behind the last one of their symbol are left out.",
    )
    drop_repeated: bool = Field(
        default=False, description="Whether a frame that equals the one before is left out."
    )

    def symbol(self, instrument: str) -> str:
        """What Finnhub calls an instrument."""
        return self.symbols.get(instrument, instrument)

    def settings(self) -> StreamSettings:
        """The same as the stream takes it."""
        from daemon.feeds.finnhub_protocol import Rules
        from daemon.feeds.finnhub_stream import StreamSettings

        return StreamSettings(
            url=self.url,
            most_symbols=self.most_symbols,
            no_frames_s=self.no_frames / _S,
            no_prices_s=self.no_prices / _S,
            rules=Rules(
                no_price=frozenset(self.exclude_conditions),
                drop_late=self.drop_late,
                drop_repeated=self.drop_repeated,
            ),
        )


PaperFeed = Annotated[ReplayFeed | FinnhubFeed, Field(discriminator="source")]
