"""Which Host headers are ours: addresses and our own names, so that no website can speak in a name of its own."""

import socket

import pytest

from daemon.web.hosts import is_ours, own_names


@pytest.mark.parametrize(
    "header",
    [
        "127.0.0.1",
        "127.0.0.1:8321",
        "192.168.1.9:80",
        "[::1]",
        "[::1]:8321",
        "localhost:8321",
        "LOCALHOST.",
        "desk.lan:1",
    ],
)
def test_addresses_and_own_names_are_ours(header):
    assert is_ours(header, own_names("desk.lan"))


def test_machines_name_is_ours():
    assert is_ours(f"{socket.gethostname()}:8321", own_names("0.0.0.0"))


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "evil.example",
        "evil.example:8321",
        "127.0.0.1.evil.example",
        "localhost.evil.example:8321",
        "[::1].evil.example",
        "[::1",
        "[evil.example]:8321",
        "127.0.0.1@evil.example",
        ":8321",
    ],
)
def test_other_names_are_not(header):
    assert not is_ours(header, own_names("127.0.0.1"))
