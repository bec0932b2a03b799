"""What may stand in the configuration of a paper session: that of a backtest, and how it is fed, kept and reached."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from daemon.config import checks, paper_checks
from daemon.config.feeds import FinnhubFeed, PaperFeed
from daemon.config.models import BacktestConfig
from daemon.config.notify import NotifyConfig
from daemon.config.reading import Loaded, Source, read
from daemon.config.service import JournalSettings, Retention, ServiceSettings
from daemon.config.sources import Data
from daemon.config.types import Name

LIVE_GRACE_MS = 250.0  # a print comes about so late; in a history it comes when it happened


class PaperConfig(BacktestConfig):
    """A paper session: agents of a backtest on prices that come in live, kept in a database."""

    name: Name = Field(default="paper", description="Names the run; without it, it is named after the file.")
    data: Annotated[tuple[Data, ...], Field(strict=False)] = Field(
        default=(),
        description="The history, merged in the order of time: what a replay plays, and what warms up a live session.",
    )
    session: Name = Field(
        default=None,
        validate_default=True,
        description="Names the session in the database, where it goes on after a stop; null: as name.",
    )
    database: Annotated[str, AfterValidator(paper_checks.address)] | None = Field(
        default=None,
        description="sqlite:///FILE, which lies in the state folder, or postgresql://USER@HOST/NAME; null: "
        "$PAPERTAPE_DATABASE, else sqlite:///papertape.db.",
    )
    feed: PaperFeed = Field(description="Where prices come from: replay, or finnhub.")
    journal: JournalSettings = Field(
        default=JournalSettings(),
        description="How often the state is kept, and what happens while the database is away.",
    )
    service: ServiceSettings = Field(
        default=ServiceSettings(), description="How the session is reached, and what it says."
    )
    notify: NotifyConfig = Field(default=(), description="Who is told of what happens.")
    retention: Retention = Field(default=Retention(), description="What is kept, and for how long.")

    @model_validator(mode="before")
    @classmethod
    def _grace(cls, given: Any) -> Any:
        match given:
            case {"feed": {"source": "finnhub"}}:
                execution = given.get("execution", {})
                if isinstance(execution, dict):
                    return {**given, "execution": {"grace_ms": LIVE_GRACE_MS, **execution}}
        return given

    @field_validator("session", mode="before")
    @classmethod
    def _as_named(cls, given: Any, info: ValidationInfo) -> Any:
        return info.data.get("name", "paper") if given is None else given

    @model_validator(mode="after")
    def _check(self) -> Self:
        checks.refuse(paper_checks.paper(self))
        return self

    @property
    def live(self) -> bool:
        """Whether its time is now, and not that of a history."""
        return isinstance(self.feed, FinnhubFeed)

    @property
    def traded(self) -> tuple[str, ...]:
        """The instruments that prices come of, in the order of the engine where they are live."""
        if not isinstance(self.feed, FinnhubFeed):
            return super().traded
        return tuple(n for n in self.instruments if self.feed.watch is None or n in self.feed.watch)

    @property
    def bars(self) -> dict[str, int]:
        """Instrument -> how long the bars last that it trades on, in ns; live prices are trades: 0."""
        return dict.fromkeys(self.instruments, 0) if self.live else super().bars


LoadedPaper = Loaded[PaperConfig]


def load_paper(source: Source, overrides: Sequence[str] = ()) -> LoadedPaper:
    """The configuration of a paper session, of a YAML file or a dict, with overrides; raises as `read` does."""
    return read(PaperConfig, source, overrides)
