"""Which names a request may call us by.

A page of some website can have its own name resolve to this machine, and then read what answers here: DNS rebinding.
Its requests carry that name in their Host header. An address is no such name, nor is localhost, nor what the machine or
the configuration calls us.
"""

from __future__ import annotations

import ipaddress
import socket


def own_names(listen: str) -> frozenset[str]:
    """Names, in lower case, of a service that listens on this host."""
    machine = socket.gethostname().lower()
    return frozenset({"localhost", listen.lower(), machine, machine.split(".")[0]})


def is_ours(header: str | None, names: frozenset[str]) -> bool:
    """Whether a Host header, such as ``127.0.0.1:8321`` or ``[::1]``, is an address or one of the names."""
    if not header:
        return False
    host = header.strip().lower()
    if host.startswith("["):
        host, bracket, rest = host[1:].partition("]")
        return bool(bracket) and (not rest or rest.startswith(":")) and _is_address(host)
    host = host.rpartition(":")[0] if ":" in host else host
    return host.rstrip(".") in names or _is_address(host)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
