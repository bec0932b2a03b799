"""systemd's side of sd_notify(3): a datagram socket, and what came in by it."""

from __future__ import annotations

import os
import socket
from pathlib import Path


class Manager:
    """A socket in the folder, or in the abstract namespace."""

    def __init__(self, folder: Path, abstract: bool = False) -> None:
        self.address = f"@papertape-test-{os.getpid()}-{folder.name}" if abstract else str(folder / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + self.address[1:] if abstract else self.address)
        self.socket.setblocking(False)

    def messages(self) -> list[dict[str, str]]:
        """What came in since it was last asked for."""
        found: list[dict[str, str]] = []
        while True:
            try:
                text = self.socket.recv(4096).decode()
            except BlockingIOError:
                return found
            found.append(dict(line.split("=", 1) for line in text.split("\n")))

    def __enter__(self) -> Manager:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
