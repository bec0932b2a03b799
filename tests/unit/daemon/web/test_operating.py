"""What operators may ask for, and what is refused before the session sees it."""

import json

import pytest

from daemon.live.controls import ControlError
from daemon.web.operating import read_operation

GOOD = {"portfolio": "desk", "action": "halt", "reason": " news ", "who": "ann@box"}


def test_operation_is_read():
    assert tuple(read_operation(json.dumps(GOOD).encode())) == ("desk", "halt", "news", "ann@box")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"action": "buy"}, "halt, reduce_only, reset, flatten"),
        ({"reason": "  "}, "reason: is empty"),
        ({"portfolio": 3}, "portfolio: is empty or no text"),
        ({"reason": "x" * 501}, "500 are the most"),
        ({"reason": "a\nb"}, "reason: must be one line"),
        ({"reason": "\ud800"}, "reason: holds what is no text"),
        ({"more": "x"}, "portfolio, action, reason, who, and nothing else"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_field(change, said):
    with pytest.raises(ControlError, match=said):
        read_operation(json.dumps({**GOOD, **change}).encode())


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[]", b"null", b'{"portfolio": "desk"}'])
def test_what_is_no_operation_is_refused(body):
    with pytest.raises(ControlError, match="the request"):
        read_operation(body)
