"""What an operator asks for by the control socket, checked before it comes near the session."""

from __future__ import annotations

import json
from typing import NamedTuple

from daemon.live.controls import ControlError

ACTIONS = ("halt", "reduce_only", "reset", "flatten")
_FIELDS = ("portfolio", "action", "reason", "who")
_LONGEST = 500  # characters: it is kept on the tape for ever


class Operation(NamedTuple):
    """What is to be done to a portfolio, why, and by whom."""

    portfolio: str
    action: str
    reason: str
    who: str


def read_operation(body: bytes) -> Operation:
    """The operation that a request's body asks for; raises ControlError where it is none."""
    try:
        content = json.loads(body)
    except ValueError as error:  # also what is no UTF-8
        raise ControlError(f"the request is no JSON: {error}") from error
    if not isinstance(content, dict) or set(content) != set(_FIELDS):
        raise ControlError(f"the request must be an object of {', '.join(_FIELDS)}, and nothing else")
    for name in _FIELDS:
        value = content[name]
        if not isinstance(value, str) or not value.strip():
            raise ControlError(f"{name}: is empty or no text")
        if len(value) > _LONGEST:
            raise ControlError(f"{name}: has {len(value):,} characters; {_LONGEST} are the most")
        try:
            value.encode()
        except UnicodeEncodeError as error:  # half of a surrogate pair, which no database takes
            raise ControlError(f"{name}: holds what is no text") from error
        if not value.isprintable():
            raise ControlError(f"{name}: must be one line")
    if content["action"] not in ACTIONS:
        raise ControlError(f"action: {content['action']!r} is none of {', '.join(ACTIONS)}")
    return Operation(*(content[name].strip() for name in _FIELDS))
