"""Logging: one event a line on standard error, with its values as fields; coloured on a terminal, JSON where asked."""

from __future__ import annotations

import sys
from typing import Any


def configure(*, json: bool = False) -> None:
    """Set up logging for the process; before it, nothing is logged. Standard output is never written to."""
    import structlog

    colours = sys.stderr.isatty()
    last: Any = structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=colours)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info if json else structlog.processors.StackInfoRenderer(),
            last,
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def logger(name: str) -> Any:
    """The logger of a part of the daemon, named after its module."""
    import structlog

    return structlog.get_logger(part=name)
