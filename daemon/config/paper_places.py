"""Where a session has its things, by the configuration and the environment: database, control socket, old tape."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daemon.config.paper import PaperConfig

DATABASE = "PAPERTAPE_DATABASE"
_FILE = "sqlite:///"


def state_folder() -> Path:
    """The folder of $STATE_DIRECTORY, which systemd sets, or ./state; absolute, and perhaps not there yet."""
    return (_of_systemd("STATE_DIRECTORY") or Path("state")).absolute()


def database_url(config: PaperConfig) -> str:
    """The address of the session's database: the configuration's, $PAPERTAPE_DATABASE, or a file in the state folder.

    A relative file of the configuration lies in the state folder; one of the environment, as for `papertape db`, in the
    current one. It may hold a password: show `daemon.store.address.parse` of it.
    """
    given = config.database
    if given is None:
        if from_environment := os.environ.get(DATABASE):
            return from_environment
        given = f"{_FILE}papertape.db"
    if given.startswith(_FILE):
        return f"{_FILE}{state_folder() / given.removeprefix(_FILE)}"
    return given


def control_socket(config: PaperConfig) -> Path:
    """The socket by which operators act: the configuration's, or SESSION.sock in $RUNTIME_DIRECTORY or the state folder."""
    if config.service.control is not None:
        return config.service.control
    return (_of_systemd("RUNTIME_DIRECTORY") or state_folder()) / f"{config.session}.sock"


def tape_folder() -> Path:
    """Where tape goes that is older than it is kept in the database."""
    return state_folder() / "tape"


def _of_systemd(variable: str) -> Path | None:
    # it separates several folders by colons
    return Path(given.split(":")[0]) if (given := os.environ.get(variable)) else None
