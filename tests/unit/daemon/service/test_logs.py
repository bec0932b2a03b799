"""Lines of the log: their forms, their facts, and no token in any of them."""

import io
import json
import logging
import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from enum import Enum

import numpy as np
import pytest
import structlog

from daemon import logs
from daemon.feeds.secret import Secret

TOKEN = 'd1"k/é \\x&=' + "0" * 8  # its JSON, its address and its repr differ from it
FORMS = (
    TOKEN,
    'd1\\"k/\\u00e9 \\\\x&=00000000',  # in JSON
    'd1"k/é \\\\x&=00000000',  # its repr
    "d1%22k%2F%C3%A9%20%5Cx%26%3D00000000",  # in an address
    'd1"k/\\xc3\\xa9 \\\\x&=00000000',  # the repr of its bytes
)


class Broken:
    def __repr__(self):
        raise RuntimeError("no")


class Colour(Enum):
    RED = "red"


@pytest.fixture(autouse=True)
def as_before():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logs._run.clear()
    logs._hidden.clear()


def configured(form, level="info"):
    logs._run.clear()  # what ran in this process before may have named its session
    stream = io.StringIO()
    logs.configure(level, form, stream)
    root = logging.getLogger()
    root.handlers[:] = [
        h for h in root.handlers if isinstance(h.formatter, structlog.stdlib.ProcessorFormatter)
    ]  # pytest's would show values in their own way
    return stream


def lines(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_line_has_time_in_utc_level_event_and_facts_in_order():
    stream = configured("json")
    before = datetime.now(UTC)
    structlog.get_logger().info("fill", price=np.float64(1.5), seq=np.int64(7), account="desk")
    (line,) = lines(stream)
    assert list(line) == ["ts", "level", "event", "account", "seq", "price", "logger"]
    assert line["ts"].endswith("Z")
    assert before <= datetime.fromisoformat(line["ts"]) <= datetime.now(UTC)
    assert (line["level"], line["event"], line["account"], line["seq"], line["price"]) == (
        "info",
        "fill",
        "desk",
        7,
        1.5,
    )


def test_line_of_any_thread_and_library_has_the_run():
    stream = configured("json")
    logs.set_run("desk-1")
    thread = threading.Thread(target=lambda: structlog.get_logger().info("from a thread"))
    thread.start()
    thread.join()
    logging.getLogger("a.library").info("upgrade to %s", "0001")
    assert [(line["run"], line["event"]) for line in lines(stream)] == [
        ("desk-1", "from a thread"),
        ("desk-1", "upgrade to 0001"),
    ]
    assert lines(stream)[1]["logger"] == "a.library"


def test_facts_bound_to_the_context_are_in_the_lines_within_it_only():
    stream = configured("json")
    with structlog.contextvars.bound_contextvars(account="desk", seq=3):
        logging.getLogger("a.library").warning("inside")
    structlog.get_logger().warning("outside")
    inside, outside = lines(stream)
    assert (inside["account"], inside["seq"]) == ("desk", 3)
    assert "account" not in outside


@pytest.mark.parametrize("form", ["json", "plain", "colour"])
def test_token_is_in_no_line_however_deep_or_escaped(form):
    stream = configured(form)
    logs.hide(Secret(TOKEN))
    log = structlog.get_logger()
    log.error(TOKEN, url=f"wss://x/?token={FORMS[3]}", nested={TOKEN: [{"a": (TOKEN, {TOKEN})}]})
    log.error("said %s", TOKEN, bytes_=TOKEN.encode(), error=ValueError(TOKEN), held=Secret(TOKEN))
    logging.getLogger("websockets").error("frame %r", TOKEN)
    try:
        local = TOKEN
        try:
            raise KeyError(local)
        except KeyError as error:
            raise ValueError(f"no {local}") from error
    except ValueError:
        log.exception("failed")
        logging.getLogger("a.library").exception("failed, too")
    text = stream.getvalue()
    for shown in FORMS:
        assert shown not in text
        assert json.dumps(shown)[1:-1] not in text
    assert text.count(logs.HIDDEN) >= 10


def test_longer_of_two_tokens_is_hidden_whole():
    stream = configured("json")
    logs.hide(Secret("abcd"))
    logs.hide(Secret("abcdefgh"))
    structlog.get_logger().info("it is abcdefgh")
    assert lines(stream)[0]["event"] == f"it is {logs.HIDDEN}"


def test_exception_is_structured_in_json_and_without_local_variables():
    stream = configured("json")
    try:
        password = "hunter2hunter2"  # noqa: F841
        raise ValueError("bad")
    except ValueError:
        structlog.get_logger().exception("failed", seq=3)
    (line,) = lines(stream)
    assert (line["level"], line["seq"]) == ("error", 3)
    (raised,) = line["exception"]
    assert (raised["exc_type"], raised["exc_value"]) == ("ValueError", "bad")
    assert raised["frames"][0]["name"].startswith("test_exception_is_structured")
    assert "hunter2" not in stream.getvalue()


def test_level_changes_while_it_runs_also_of_loggers_that_were_used():
    stream = configured("json")
    log = structlog.get_logger()
    log.debug("no")
    log.info("one")
    logs.set_level("debug")
    log.debug("two")
    logging.getLogger("numba.core").debug("no")  # thousands of lines
    logging.getLogger("sqlalchemy.engine.Engine").info("no")  # INSERT ...
    logs.set_level("error")
    log.warning("no")
    logging.getLogger("websockets").warning("no")
    log.error("three")
    assert [line["event"] for line in lines(stream)] == ["one", "two", "three"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Colour.RED, Broken(), object(), b"\xff"])
def test_value_that_json_does_not_know_is_text(value):
    stream = configured("json")
    structlog.get_logger().info("odd", value=value)
    text = stream.getvalue()
    assert isinstance(json.loads(text, parse_constant=pytest.fail)["value"], str)


def test_text_with_a_newline_is_one_line_of_json():
    stream = configured("json")
    structlog.get_logger().info("a\nb", c="d\ne")
    assert len(stream.getvalue().splitlines()) == 1


def test_configuring_anew_moves_the_lines_and_doubles_none():
    first = configured("json")
    second = configured("plain")
    structlog.get_logger().info("hello", seq=1)
    logging.getLogger("a.library").info("hello")
    assert first.getvalue() == ""
    assert len(second.getvalue().splitlines()) == 2
    assert "seq=1" in second.getvalue()


def test_without_a_terminal_auto_is_plain_text_without_colours(monkeypatch):
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    stream = configured("auto")
    structlog.get_logger().info("hello", seq=1)
    assert "hello" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_on_the_journals_own_stream_auto_is_json_with_priorities(tmp_path, monkeypatch):
    with (tmp_path / "stream").open("w+", encoding="utf-8") as stream:
        of = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{of.st_dev}:{of.st_ino}")
        logs.configure("debug", "auto", stream)
        log = structlog.get_logger()
        for level in ("debug", "info", "warning", "error", "critical"):
            getattr(log, level)("x")
        logging.getLogger("alembic").warning("x")
        stream.seek(0)
        written = stream.read().splitlines()
    # sd-daemon(3): SD_CRIT 2, SD_ERR 3, SD_WARNING 4, SD_INFO 6, SD_DEBUG 7
    assert [line[:3] for line in written] == ["<7>", "<6>", "<4>", "<3>", "<2>", "<4>"]
    assert all(json.loads(line[3:])["event"] == "x" for line in written)


def test_stream_that_is_not_the_journals_has_no_priorities(tmp_path, monkeypatch):
    with (tmp_path / "stream").open("w+", encoding="utf-8") as stream:
        of = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{of.st_dev}:{of.st_ino + 1}")  # 2> elsewhere, in a unit
        logs.configure("info", "json", stream)
        structlog.get_logger().info("x")
        stream.seek(0)
        assert stream.read().startswith("{")


def read_all(pipe):
    os.set_blocking(pipe, False)
    found = b""
    try:
        while part := os.read(pipe, 1 << 20):
            found += part
    except BlockingIOError:
        pass
    return found.decode()


@pytest.mark.parametrize(
    "length", [100, 10_000]
)  # of a line, in bytes: a piece of a pipe's room, and several
def test_reader_that_waits_holds_up_nobody_and_is_told_what_it_missed(length):
    reading, writing = os.pipe()  # 64 KiB, on Linux
    with open(writing, "w", encoding="utf-8") as stream:  # noqa: PTH123  (it has no path)
        logs.configure("info", "json", stream)
        log = structlog.get_logger()
        begin = time.monotonic()
        for number in range(1000):
            log.info("x" * length, number=number)
        assert time.monotonic() - begin < 10.0  # a second or so; each would wait for ever
        text = read_all(reading)
        log.info("again")
        log.info("and again")
        text += read_all(reading)
    os.close(reading)
    lines = [json.loads(line) for line in text.splitlines() if line.endswith("}")]  # one may be torn
    assert len(text.splitlines()) - len(lines) <= 1
    came = [line["number"] for line in lines if "number" in line]
    assert came == list(range(len(came)))  # the first, in order
    assert 65_536 // (length + 200) - 1 <= len(came) < 1000
    assert [line["event"] for line in lines[len(came) :]] == [
        f"{1000 - len(came):,} lines were lost, for nobody read them",
        "again",
        "and again",
    ]


def test_file_is_waited_for_by_nobody_and_keeps_all(tmp_path):
    with (tmp_path / "log").open("w", encoding="utf-8") as stream:
        logs.configure("info", "json", stream)
        for number in range(1000):
            structlog.get_logger().info("é" * 5000, number=number)
    written = (tmp_path / "log").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["number"] for line in written] == list(range(1000))


def test_importing_it_brings_nothing_heavy_nor_does_help():
    code = (
        "import sys; import daemon.logs, daemon.cli; "
        "print(*(m for m in ('structlog', 'aiohttp', 'prometheus_client', 'rich') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
