"""`papertape run`: a paper session, until it is told to end."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Annotated

import typer

Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a value, such as feed.speed=10; repeatable."),
]


def run(
    config: Annotated[
        Path, typer.Argument(help="A YAML file with a `feed`; `papertape config schema run` describes it.")
    ],
    overrides: Overrides = None,
) -> None:
    """Trade paper on live or replayed prices, until SIGTERM or Ctrl-C, or the end of the replay.

    A session goes on where it was left, however it was left.
    """
    import asyncio

    import structlog

    from daemon import logs
    from daemon.config.paper import PaperConfig, load_paper
    from daemon.live.running import run as session

    given = tuple(overrides or ())

    def reread() -> PaperConfig:
        return load_paper(config, given).config

    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the session runs there is nothing to reload
    os.umask(0o027)  # what is kept is nobody else's affair
    loaded = reread()
    logs.configure(loaded.service.log_level, loaded.service.log_format)
    try:
        asyncio.run(session(loaded, reread))
    except KeyboardInterrupt:
        structlog.get_logger().warning("stopped while it started; what is committed stays")
        raise
    except BaseExceptionGroup as group:  # of the session's tasks; one that failed has ended the others
        raise _first(group) from None


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
