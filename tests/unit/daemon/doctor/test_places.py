import os
import socket
from pathlib import Path

import pytest

from daemon.doctor import places
from tests.unit.daemon.doctor.conftest import Case

NOWHERE = "/proc/papertape"  # nobody makes a folder there, root neither


def states(found: object) -> dict[str, str]:
    return {f.check: f.state for f in found}  # type: ignore[attr-defined]


def test_folders_that_are_not_there_yet_can_be_made(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CACHE_DIRECTORY", str(case.file.parent / "cache"))
    found = list(places.folders(case.of()))
    assert states(found) == {"state folder": "ok", "control socket": "ok", "cache folder": "ok"}
    assert "can be made at the start" in found[0].text
    assert not (case.file.parent / "state").exists()  # looking changes nothing
    (case.file.parent / "state").mkdir()
    assert next(iter(places.folders(case.of()))).text == f"{case.file.parent}/state can be written"
    assert list((case.file.parent / "state").iterdir()) == []


@pytest.mark.parametrize(
    ("variable", "check", "state", "hint"),
    [
        (
            "STATE_DIRECTORY",
            "state folder",
            "failed",
            "set STATE_DIRECTORY, or start it in a folder of yours",
        ),
        ("RUNTIME_DIRECTORY", "control socket", "failed", "name another place as service.control"),
        ("CACHE_DIRECTORY", "cache folder", "warning", "set XDG_CACHE_HOME, or CacheDirectory= of the unit"),
    ],
)
def test_folder_that_cannot_be_written_is_told(
    case: Case, monkeypatch: pytest.MonkeyPatch, variable: str, check: str, state: str, hint: str
) -> None:
    monkeypatch.setenv("CACHE_DIRECTORY", str(case.file.parent))
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(case.file.parent))
    monkeypatch.setenv(variable, NOWHERE)
    bad = [f for f in places.folders(case.of()) if f.state != "ok"]
    assert [(f.check, f.state) for f in bad] == [(check, state)]
    assert bad[0].text.startswith("/proc cannot be written (")
    assert bad[0].text.endswith(hint)


def test_file_where_a_folder_should_be_is_told(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", f"{case.file}/state")
    (bad, *_) = places.folders(case.of())
    assert (bad.check, bad.state) == ("state folder", "failed")
    assert "Not a directory" in bad.text


def test_socket_whose_path_is_too_long_for_the_kernel_is_told(case: Case) -> None:
    folder = case.file.parent / ("x" * 100)
    (found,) = (
        f for f in places.folders(case.of(f"service.control={folder}/a.sock")) if f.check == "control socket"
    )
    assert found.state == "failed"
    assert "longer than the 107 bytes" in found.text
    # the kernel's own word for it: 107 bytes can be bound, 108 cannot
    for length, fits in ((107, True), (108, False)):
        path = "/tmp/" + "y" * (length - 5)
        with socket.socket(socket.AF_UNIX) as probe:
            if fits:
                probe.bind(path)
                Path(path).unlink()
            else:
                with pytest.raises(OSError, match="too long"):
                    probe.bind(path)


@pytest.mark.parametrize(
    ("free", "state"),
    [(1 << 40, "ok"), (1 << 30, "ok"), ((1 << 30) - 1, "warning"), ((128 << 20) - 1, "failed")],
)
def test_room_decides(case: Case, free: int, state: str) -> None:
    (found,) = places.room(case.of(), free)
    assert found.state == state


def test_room_is_told_in_days_of_tape(case: Case) -> None:
    # 20,000 rows of 41 bytes are 820,000 bytes a second, 70.848 GB a day: ten days are 708.48 GB, 659.8 GiB
    (found,) = places.room(case.of(), 708_480_000_000)
    assert found.text.startswith("659.8 GiB free at ")
    assert "the tape of 10.0 days at 20,000 prints a second" in found.text


def test_port_that_somebody_has_is_told(case: Case) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        (bad,) = places.port(case.of(f"service.listen={listen}"))
    assert (bad.check, bad.state) == ("listen", "failed")
    assert f"{listen} cannot be used (Address already in use)" in bad.text
    (good,) = places.port(case.of(f"service.listen={listen}"))
    assert good.state == "ok"
    assert list(places.port(case.of())) == []  # it does not listen


def test_address_that_is_not_of_this_machine_is_told(case: Case) -> None:
    (bad,) = places.port(case.of("service.listen=192.0.2.1:8321"))  # of documentation: RFC 5737
    assert (bad.check, bad.state) == ("listen", "failed")


def test_session_that_runs_is_noticed_by_its_socket(
    case: Case, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = Path("/tmp") / f"papertape-doctor-{os.getpid()}.sock"
    config = case.of(f"service.control={path}", "service.listen=192.0.2.1:8321")
    assert not places.runs_already(config)
    with socket.socket(socket.AF_UNIX) as session:
        session.bind(os.fspath(path))
        assert not places.runs_already(config)  # left behind: nobody answers
        session.listen()
        assert places.runs_already(config)
        (found,) = places.port(config)  # the port is the session's
        assert (found.state, found.text) == ("ok", f"the session runs, and answers at {path}")
    path.unlink()
