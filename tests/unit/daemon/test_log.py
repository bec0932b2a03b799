"""Log lines go to standard error, as JSON where asked."""

import json

import pytest
import structlog

from daemon import log


@pytest.fixture(autouse=True)
def _as_before():
    yield
    structlog.reset_defaults()


def test_json_line_has_the_event_and_its_values(capsys):
    log.configure(json=True)
    log.logger("feed").warning("stale", seconds=7)
    out, err = capsys.readouterr()
    line = json.loads(err)
    assert (out, line["event"], line["level"], line["part"], line["seconds"]) == (
        "",
        "stale",
        "warning",
        "feed",
        7,
    )
    assert line["timestamp"].endswith("Z")


def test_json_line_of_an_error_has_its_traceback(capsys):
    log.configure(json=True)
    try:
        1 / 0  # noqa: B018
    except ZeroDivisionError:
        log.logger("feed").exception("broken")
    assert "ZeroDivisionError: division by zero" in json.loads(capsys.readouterr().err)["exception"]


def test_plain_line_is_text_without_colours_where_there_is_no_terminal(capsys):
    log.configure()
    log.logger("feed").info("connected", venue="X")
    out, err = capsys.readouterr()
    assert (out, "connected" in err, "venue=X" in err, "\x1b" in err) == ("", True, True, False)
