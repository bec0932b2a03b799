"""What the program says while it runs: one line an event, for people or for machines, and never a token.

Modules take ``log = structlog.get_logger()`` and pass facts as keywords: ``log.info("fill", account="a", seq=7)``. What
libraries log through the standard library comes out in the same form. A program that imports such modules calls
`configure` first: structlog on its own writes to standard output.

structlog is imported by what needs it: it takes as long as all the rest of ``papertape --help``.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import sys
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal, TextIO, TypeAlias
from urllib.parse import quote

if TYPE_CHECKING:
    from daemon.feeds.secret import Secret

Format: TypeAlias = Literal["auto", "json", "colour", "plain"]
Level: TypeAlias = Literal["debug", "info", "warning", "error"]

HIDDEN = "(hidden)"

# What libraries say of each of their own steps is thousands of lines a second: the least that is logged of them.
_LEAST = {
    **dict.fromkeys(
        ("aiohttp", "aiosqlite", "asyncio", "asyncpg", "numba", "urllib3", "websockets"), logging.INFO
    ),
    **dict.fromkeys(("alembic", "sqlalchemy"), logging.WARNING),  # each statement is information to them
}
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}  # syslog's, see sd-daemon(3)
_FIRST = (
    "ts",
    "level",
    "event",
    "run",
    "account",
    "seq",
)  # in this order, then the others as they were given

_run: dict[str, str] = {}
_hidden: dict[str, None] = {}  # every form of every secret, the longest first


def configure(level: Level = "info", form: Format = "auto", stream: TextIO | None = None) -> None:
    """Log to the stream from now on, standard error by default; what went elsewhere before no longer does.

    form: json is an object a line; colour and plain are for people; auto is json where the stream is systemd's
    journal, colour on a terminal, else plain. Lines of the journal begin with their priority.
    """
    import structlog

    from daemon.service.lines import LineHandler

    stream = sys.stderr if stream is None else stream
    journal = _is_journal(stream)
    if form == "auto":
        form = "json" if journal else "colour" if stream.isatty() else "plain"
    before: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        _stamp,
    ]
    after: list[Any] = [_name, *_rendering(form), *([_with_priority] if journal else [])]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *before,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,  # else a logger that was used keeps what held then
    )
    handler = LineHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before,
            processors=after,
        )
    )
    root = logging.getLogger()
    for other in root.handlers[:]:
        if isinstance(other.formatter, structlog.stdlib.ProcessorFormatter):
            root.removeHandler(other)
    root.addHandler(handler)
    set_level(level)


def set_level(level: Level) -> None:
    """Log what is at least that important, from now on."""
    number = logging.getLevelNamesMapping()[level.upper()]
    logging.getLogger().setLevel(number)
    for name, least in _LEAST.items():
        logging.getLogger(name).setLevel(max(number, least))


def set_run(session: str) -> None:
    """Have every line, of every thread, say which session it is of."""
    _run["run"] = session


def hide(secret: Secret) -> None:
    """Never write this token, in whatever it may occur, also as part of an address or escaped."""
    value = secret.reveal()
    escaped = {repr(value)[1:-1], repr(value.encode())[2:-1], json.dumps(value)[1:-1]}
    forms = {value, quote(value), quote(value, safe=""), *escaped} - {""}
    together = sorted({*_hidden, *forms}, key=len, reverse=True)
    _hidden.clear()
    _hidden.update(dict.fromkeys(together))


def clean(value: Any) -> Any:
    """A value as JSON has it, of any depth, without tokens; what JSON does not know becomes text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Integral):  # numpy's, too
        return int(value)
    if isinstance(value, Real):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, Mapping):
        return {_without_tokens(str(key)): clean(of) for key, of in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [clean(of) for of in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return _without_tokens(value if isinstance(value, str) else _told(value))


def _told(value: object) -> str:
    # a value that cannot be shown must not cost the line, nor whoever logged it
    try:
        return str(value) if isinstance(value, BaseException) or hasattr(value, "__fspath__") else repr(value)
    except Exception as error:  # noqa: BLE001  (it may be a user's class)
        return f"<{type(value).__name__}, which cannot be shown: {type(error).__name__}>"


def _without_tokens(text: str) -> str:
    for form in _hidden:
        text = text.replace(form, HIDDEN)
    return text


def _stamp(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["ts"] = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return {**_run, **event}


def _name(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    event["logger"] = event.pop("_record").name
    del event["_from_structlog"]
    return event


def _clean(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    first = {key: event[key] for key in _FIRST if key in event}
    cleaned: dict[str, Any] = clean({**first, **event})
    return cleaned


def _rendering(form: Format) -> list[Any]:
    import structlog

    # never with the values of local variables: a token may be among them
    if form == "json":
        frames = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        return [
            structlog.processors.ExceptionRenderer(frames),
            structlog.processors.StackInfoRenderer(),
            _clean,
            _as_json,
        ]
    return [
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        _clean,
        structlog.dev.ConsoleRenderer(
            colors=form == "colour", sort_keys=False, timestamp_key="ts", pad_event_to=0
        ),
    ]


def _as_json(_: Any, __: str, event: dict[str, Any]) -> str:
    return json.dumps(event, allow_nan=False)


def _with_priority(_: Any, method: str, line: str) -> str:
    mark = f"<{_PRIORITIES.get(method, 5)}>"
    return "\n".join(mark + part for part in line.split("\n"))


def _is_journal(stream: TextIO) -> bool:
    """Whether the stream is the one that $JOURNAL_STREAM means: the variable is inherited, the stream may be another."""
    meant = os.environ.get("JOURNAL_STREAM")
    if meant is None:
        return False
    with contextlib.suppress(OSError, ValueError):  # no file, or a closed one
        of = os.fstat(stream.fileno())
        return meant == f"{of.st_dev}:{of.st_ino}"
    return False
