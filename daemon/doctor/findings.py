"""What a look at one thing has found."""

from __future__ import annotations

from typing import Literal, NamedTuple

State = Literal["ok", "warning", "failed"]


class Finding(NamedTuple):
    """One line: which check, how it is, and what was found; where it is not ok, what to do as well."""

    check: str
    state: State
    text: str


def ok(check: str, text: str) -> Finding:
    """All is well."""
    return Finding(check, "ok", text)


def warning(check: str, text: str) -> Finding:
    """A session can start, and somebody should know."""
    return Finding(check, "warning", text)


def failed(check: str, text: str) -> Finding:
    """A session would not start, or not do what it is for."""
    return Finding(check, "failed", text)
