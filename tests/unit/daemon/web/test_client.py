"""Finding the session that is meant, and what is said where it cannot be asked."""

import json
import os
import socket
import threading
from contextlib import contextmanager

import pytest

from daemon.web import client
from daemon.web.client import ControlFailed, Session, SocketUnclear, find


@contextmanager
def alive(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        yield path


def left_behind(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))


@pytest.fixture
def at(tmp_path, monkeypatch):
    """A folder to be in, and where the units' sockets are."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def found(at, name=None, given=None, **environment):
    return find(given, name, environment, at / "run")


@pytest.mark.parametrize(
    "where", ["run/desk.sock", "run/desk/desk.sock", "here/state/desk.sock", "here/desk.sock"]
)
def test_only_socket_there_is_is_the_one_that_is_meant(at, where):
    with alive(at / where) as path:
        assert found(at) == path


def test_folders_of_systemd_are_looked_into(at):
    with alive(at / "r" / "desk.sock") as path:
        assert found(at, RUNTIME_DIRECTORY=f"{at / 'r'}:{at / 'other'}") == path
        assert found(at, STATE_DIRECTORY=str(at / "r")) == path


def test_of_several_the_name_says_which_and_without_it_all_are_listed(at):
    with alive(at / "run" / "desk.sock") as desk, alive(at / "here" / "state" / "coins.sock") as coins:
        assert found(at, "coins") == coins
        with pytest.raises(SocketUnclear) as raised:
            found(at)
        assert f"--socket {desk}" in str(raised.value)
        assert f"--socket {coins}" in str(raised.value)


def test_socket_of_a_killed_session_does_not_make_it_unclear(at):
    left_behind(at / "here" / "state" / "old.sock")
    with alive(at / "run" / "desk.sock") as path:
        assert found(at) == path
        path.unlink()
    assert found(at).name == "old.sock"  # asking it says what became of it


def test_where_there_is_none_the_folders_are_named(at):
    (at / "here" / "desk.sock").write_text("no socket")
    with pytest.raises(
        ControlFailed, match=r"there is no desk\.sock in .*/run, .*/here/state, .*papertape run"
    ):
        found(at, "desk")


def test_given_socket_is_taken_as_it_is(at):
    assert found(at, given=at / "x.sock") == at / "x.sock"


@contextmanager
def answering(path, answer):
    """Somebody at the socket who reads a request, and answers with these bytes."""
    with alive(path):
        pass
    path.unlink()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()

        def serve():
            with listening.accept()[0] as connection:
                connection.recv(65536)
                if answer is None:
                    done.wait(10)
                else:
                    connection.sendall(answer)

        done = threading.Event()
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "went away while it was asked"),
        (b"hello\r\n\r\n", "went away while it was asked"),
        (b"HTTP/1.1 200 OK\r\n\r\n<html>", "is no session"),
        (b"HTTP/1.1 200 OK\r\n\r\n[]", "is no session"),
        (
            b"HTTP/1.1 409 Conflict\r\n\r\n" + json.dumps({"error": "no such account"}).encode(),
            "^no such account$",
        ),
        (None, "no answer within 0.2 s"),
    ],
)
def test_odd_answers_are_told_for_what_they_are(tmp_path, answer, said):
    path = tmp_path / "desk.sock"
    with answering(path, answer), pytest.raises(ControlFailed, match=said):
        Session(path, patience_s=0.2).status()


def test_socket_of_others_is_told_with_the_group_that_may_use_it(tmp_path, monkeypatch):
    def refused(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(client._Connection, "connect", refused)
    import grp

    group = grp.getgrgid(os.getgid()).gr_name
    with alive(tmp_path / "desk.sock") as path, pytest.raises(ControlFailed, match=f"usermod .* {group} YOU"):
        Session(path).status()
