from pathlib import Path

import pytest

from daemon.doctor.unit import systemd

UNIT = {
    "INVOCATION_ID": "0" * 32,
    "NOTIFY_SOCKET": "@papertape",
    "WATCHDOG_USEC": "30000000",
    "STATE_DIRECTORY": "/var/lib/papertape",
    "RUNTIME_DIRECTORY": "/run/papertape",
    "CACHE_DIRECTORY": "/var/cache/papertape",
}


def test_without_a_unit_nothing_is_said() -> None:
    assert list(systemd({})) == []
    assert list(systemd({"STATE_DIRECTORY": "state"})) == []  # set by hand
    assert list(systemd({"INVOCATION_ID": "0" * 32})) == []  # a terminal that systemd started


def test_unit_that_gives_all_is_well() -> None:
    (found,) = systemd(UNIT)
    assert (found.state, found.text) == ("ok", "the unit gives its folders and NOTIFY_SOCKET, WATCHDOG_USEC")
    # as ExecStartPre sees it
    (found,) = systemd({k: v for k, v in UNIT.items() if k not in ("NOTIFY_SOCKET", "WATCHDOG_USEC")})
    assert (found.state, found.text) == ("ok", "the unit gives its folders")


@pytest.mark.parametrize(
    ("name", "value", "state", "text"),
    [
        (
            "STATE_DIRECTORY",
            None,
            "warning",
            "the unit gives no STATE_DIRECTORY; add StateDirectory=papertape",
        ),
        (
            "RUNTIME_DIRECTORY",
            None,
            "warning",
            "the unit gives no RUNTIME_DIRECTORY; add RuntimeDirectory=papertape",
        ),
        (
            "CACHE_DIRECTORY",
            None,
            "warning",
            "the unit gives no CACHE_DIRECTORY; add CacheDirectory=papertape",
        ),
        (
            "NOTIFY_SOCKET",
            "/nowhere/notify",
            "failed",
            "NOTIFY_SOCKET is /nowhere/notify, which is not there",
        ),
        ("NOTIFY_SOCKET", "tcp:1", "failed", "NOTIFY_SOCKET is 'tcp:1', which is no socket"),
        ("WATCHDOG_USEC", "30s", "failed", "WATCHDOG_USEC is '30s', which is no number"),
        (
            "WATCHDOG_USEC",
            "1500000",
            "warning",
            "the watchdog bites after 1.5 s; write WatchdogSec=30s or so",
        ),
    ],
)
def test_what_the_unit_lacks_is_told(name: str, value: str | None, state: str, text: str) -> None:
    given = {k: v for k, v in {**UNIT, name: value}.items() if v is not None}
    (found,) = systemd(given)
    assert found.state == state
    assert found.text.startswith(text)


def test_socket_that_is_there_is_well(tmp_path: Path) -> None:
    (tmp_path / "notify").touch()
    (found,) = systemd({**UNIT, "NOTIFY_SOCKET": str(tmp_path / "notify")})
    assert found.state == "ok"
