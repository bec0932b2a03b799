"""How a session keeps what happens, and how it is reached: journal, service, retention."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from daemon.config.base import Model
from daemon.config.types import Duration, show

_MINUTE = 60 * 10**9


def parse_listen(text: str) -> tuple[str, int]:
    """Host and port of ``127.0.0.1:8321`` or ``[::1]:8321``; raises ValueError for anything else."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    usable = port.isascii() and port.isdecimal() and 0 < int(port) < 1 << 16
    if not (colon and host and usable) or (":" in host) != bracketed or re.search(r"[\s\[\]/@]", host):
        raise ValueError(
            f"{show(text)} is no host and port; write 127.0.0.1:8321, [::1]:8321, or null for none"
        )
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches it."""
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return host == "localhost"


def _listen(text: str) -> str:
    parse_listen(text)
    return text


class JournalSettings(Model):
    """How what was decided gets into the database."""

    snapshot_every: Duration = Field(
        default=_MINUTE,
        description="A snapshot of the state so often; a restart replays what came after the last one.",
        json_schema_extra={"default": "1m"},
    )
    backlog: Duration = Field(
        default=_MINUTE,
        description="While the database is away, decisions go on for so long; then they wait for it.",
        json_schema_extra={"default": "1m"},
    )
    backlog_rows: int = Field(
        default=1_000_000,
        ge=1,
        le=100_000_000,
        description="The same, in rows of the tape; what comes first counts.",
    )


class ServiceSettings(Model):
    """How a session is reached, and what it says."""

    listen: Annotated[str, AfterValidator(_listen)] | None = Field(
        default="127.0.0.1:8321",
        description="Host and port of /healthz, /readyz, /metrics and /status, which only tell; null: none.",
    )
    control: Path | None = Field(
        default=None,
        strict=False,
        description="The socket by which operators act; null: NAME.sock in $RUNTIME_DIRECTORY, else in the state folder.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="What is less is not logged."
    )
    log_format: Literal["auto", "json", "colour", "plain"] = Field(
        default="auto", description="auto: JSON under systemd, colour on a terminal, plain elsewhere."
    )


class Retention(Model):
    """What is kept in the database; orders, fills and the ledger are kept for ever."""

    tape: Duration | None = Field(
        default=None,
        description="The tape is kept for at least so long; what is older goes to Parquet files in the folder tape of the "
        "state folder. null: all of it is kept.",
    )
