"""Asking a running session by its control socket, and finding the socket. Needs no event loop and nothing heavy."""

from __future__ import annotations

import contextlib
import grp
import http.client
import json
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PATIENCE_S = 40.0  # a commit may take 30 s until the session says that it does not know
RUN = Path("/run/papertape")  # where systemd's units have their sockets


class ControlFailed(Exception):
    """Nobody is there, or what was asked for was refused; the text says what to do."""


class SocketUnclear(Exception):
    """It cannot be told which session is meant."""


class Session:
    """A running session, reached by its control socket. Methods raise ControlFailed."""

    def __init__(self, path: Path, patience_s: float = PATIENCE_S) -> None:
        self.path = path
        self._patience_s = patience_s

    def status(self) -> dict[str, Any]:
        return self._ask("GET", "/status")

    def operate(self, portfolio: str, action: str, reason: str, who: str) -> dict[str, Any]:
        asked = {"portfolio": portfolio, "action": action, "reason": reason, "who": who}
        return self._ask("POST", "/operate", json.dumps(asked))

    def reload(self) -> dict[str, Any]:
        return self._ask("POST", "/reload")

    def _ask(self, method: str, path: str, body: str | None = None) -> dict[str, Any]:
        connection = _Connection(self.path, self._patience_s)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            code, content = answer.status, json.loads(answer.read())
        except FileNotFoundError as error:
            raise ControlFailed(
                f"{self.path}: there is no such socket; is the session running? (`papertape run`)"
            ) from error
        except ConnectionRefusedError as error:
            raise ControlFailed(
                f"{self.path}: nobody answers; the session ended without removing it. Start it anew: it will recover"
            ) from error
        except PermissionError as error:
            raise ControlFailed(f"{self.path}: you may not use it{_whose(self.path)}; or use sudo") from error
        except TimeoutError as error:
            raise ControlFailed(
                f"{self.path}: no answer within {self._patience_s:g} s: the session is held up; see its log"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise ControlFailed(f"{self.path}: the session went away while it was asked: {error}") from error
        except ValueError as error:
            raise ControlFailed(f"{self.path}: what answers is no session: {error}") from error
        finally:
            connection.close()
        if not isinstance(content, dict):
            raise ControlFailed(f"{self.path}: what answers is no session")
        if code != 200:
            raise ControlFailed(str(content.get("error", f"{method} {path} was answered by {code}")))
        return content


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, patience_s: float) -> None:
        super().__init__("localhost", timeout=patience_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(os.fspath(self._path))


def find(
    given: Path | None, name: str | None, environment: Mapping[str, str] = os.environ, run: Path = RUN
) -> Path:
    """The socket given, else that of this name, else the only one in the folders where sessions have theirs.

    The folders: $RUNTIME_DIRECTORY, /run/papertape and those in it, $STATE_DIRECTORY, ./state, and the current one.
    Raises ControlFailed where there is none, and SocketUnclear where there are several.
    """
    if given is not None:
        return given
    folders = list(_folders(environment, run))
    there = [path for folder in folders for path in _sockets(folder, name or "*")]
    found = [path for path in there if _is_alive(path)] or there
    if len(found) > 1:
        listed = "".join(f"\n  --socket {path}" for path in found)
        raise SocketUnclear(f"several sessions have a socket here; say which is meant:{listed}")
    if not found:
        looked = ", ".join(str(folder) for folder in folders)
        closed = [
            folder for folder in folders if folder.is_dir() and not os.access(folder, os.R_OK | os.X_OK)
        ]
        raise ControlFailed(
            f"no session answers here: there is no {name or '*'}.sock in {looked}; start one with `papertape run CONFIG`, "
            "wait where it is still starting, or name its socket with --socket"
            + "".join(
                f"\n{folder}: you may not look into it{_whose(folder)}; or use sudo" for folder in closed
            )
        )
    return found[0]


def _folders(environment: Mapping[str, str], run: Path) -> Iterator[Path]:
    of_units = [run, *sorted(path for path in run.glob("*") if path.is_dir())]
    of_us = [_of_systemd(environment, "RUNTIME_DIRECTORY"), _of_systemd(environment, "STATE_DIRECTORY")]
    yield from dict.fromkeys(
        folder.absolute() for folder in (*of_us[:1], *of_units, *of_us[1:], Path("state"), Path()) if folder
    )


def _of_systemd(environment: Mapping[str, str], name: str) -> Path | None:
    first = environment.get(name, "").split(":")[0]  # of several, separated by colons
    return Path(first) if first else None


def _sockets(folder: Path, name: str) -> Iterator[Path]:
    with contextlib.suppress(PermissionError):  # not for us, whatever is in it
        yield from sorted(path for path in folder.glob(f"{name}.sock") if path.is_socket())


def _is_alive(path: Path) -> bool:
    """Whether it is more than what a killed session left behind."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
        trial.settimeout(1.0)
        try:
            trial.connect(os.fspath(path))
        except ConnectionRefusedError:
            return False
        except OSError:  # it is busy, or not for us
            return True
    return True


def _whose(path: Path) -> str:
    try:
        of = path.stat().st_gid
        name = grp.getgrgid(of).gr_name
    except (OSError, KeyError):  # its folder is not for us either, or the group has no name
        return ""
    return f"; its group is {name} (usermod --append --groups {name} YOU, then log in anew)"
