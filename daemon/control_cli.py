"""`papertape status`, `halt`, `resume`, `flatten` and `reload`: a running session, told by its control socket what to do.

Exit codes are those of `papertape`: 1 where nobody is there or it refuses, 2 where it is not clear what is wanted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar

import typer

if TYPE_CHECKING:
    from daemon.web.client import Session

T = TypeVar("T")

Socket = Annotated[
    Path | None,
    typer.Option(
        "--socket", metavar="PATH", help="The session's control socket; without it, the only one there is."
    ),
]
Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Find the socket by the session's configuration."),
]
Portfolios = Annotated[
    list[str] | None,
    typer.Argument(metavar="PORTFOLIO...", help="Accounts, or parts of them: ACCOUNT/STRATEGY."),
]
All = Annotated[bool, typer.Option("--all", help="All accounts.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept with what was done.")]

DONE = {
    "halt": "is halted: exits only, and what worked is cancelled",
    "reduce_only": "may only reduce",
    "reset": "trades again",
    "flatten": "is halted, and its positions are being closed",
}


def status(
    socket: Socket = None,
    config: Config = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what the session tells as one JSON object.")
    ] = False,
) -> None:
    """Show how a running session is, and what it has."""
    told = _asked(_session(socket, config).status)
    if as_json:
        import json

        typer.echo(json.dumps(told, allow_nan=False))
    else:
        from daemon.web.showing import print_status

        print_status(told)


def halt(
    reason: Reason,
    portfolios: Portfolios = None,
    every: All = False,
    socket: Socket = None,
    config: Config = None,
) -> None:
    """Halt accounts of a running session: working orders are cancelled, and only exits pass."""
    session = _session(socket, config)
    _operate(session, _meant(session, portfolios, every), "halt", reason)


def resume(
    portfolios: Portfolios = None,
    every: All = False,
    reduce_only: Annotated[
        bool, typer.Option("--reduce-only", help="Let it shrink its positions only, whatever it may do now.")
    ] = False,
    reason: Reason = "resumed by the operator",
    socket: Socket = None,
    config: Config = None,
) -> None:
    """Let accounts trade again; what they lost until now no longer counts against their limits."""
    session = _session(socket, config)
    action = "reduce_only" if reduce_only else "reset"
    _operate(session, _meant(session, portfolios, every), action, reason)


def flatten(
    reason: Reason,
    portfolios: Portfolios = None,
    every: All = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    socket: Socket = None,
    config: Config = None,
) -> None:
    """Halt accounts of a running session, and close their positions."""
    session = _session(socket, config)
    meant = _meant(session, portfolios, every)
    if not yes:
        if not sys.stdin.isatty():
            _wrong("flatten closes positions: confirm it with --yes")
        if not typer.confirm(f"Close all positions of {', '.join(meant)}?"):
            raise typer.Exit(1)
    _operate(session, meant, "flatten", reason)


def reload(socket: Socket = None, config: Config = None) -> None:
    """Have a running session read its configuration anew."""
    told = _asked(_session(socket, config).reload)
    changed, restart = told.get("changed", []), told.get("needs_restart", [])
    if restart:
        from daemon.cli import FAILED, fail

        if why := told.get("needs_session"):
            fail(f"nothing is changed, and a restart with this file would fail: {why}", FAILED)
        fail(f"nothing is changed, for these need a restart: {', '.join(restart)}", FAILED)
    typer.echo("changed: " + (", ".join(changed) or "nothing"))


COMMANDS: tuple[Callable[..., None], ...] = (status, halt, resume, flatten, reload)


def _session(socket: Path | None, config: Path | None) -> Session:
    from daemon.web.client import Session, SocketUnclear, find

    if socket is not None and config is not None:
        _wrong("give --socket or --config, not both")
    name = None
    if config is not None:
        socket, name = _place(config)
    try:
        return Session(_asked(lambda: find(socket, name)))
    except SocketUnclear as error:
        _wrong(str(error))


def _place(path: Path) -> tuple[Path | None, str | None]:
    """The control socket that a configuration gives, and its session; in an emergency a file that is wrong elsewhere will do."""
    import yaml

    from daemon.cli import note
    from daemon.config.errors import ConfigError
    from daemon.config.paper import load_paper

    try:
        config = load_paper(path).config
    except ConfigError as error:
        try:
            given = yaml.safe_load(path.read_text(encoding="utf-8"))
            name = given.get("session") or given.get("name") or path.stem
            control = (given.get("service") or {}).get("control")
        except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError):
            raise error from None
        note(f"{path} is not right, which does not matter here: {str(error).splitlines()[0]}")
        return None if control is None else Path(control), str(name)
    return config.service.control, config.session


def _meant(session: Session, portfolios: Sequence[str] | None, every: bool) -> list[str]:
    if bool(portfolios) == every:
        _wrong("name the accounts that are meant, or give --all")
    if portfolios:
        return list(dict.fromkeys(portfolios))
    return [account["name"] for account in _asked(session.status)["accounts"]]


def _operate(session: Session, portfolios: Sequence[str], action: str, reason: str) -> None:
    from daemon.cli import FAILED, WRONG_USE, fail
    from daemon.web.client import ControlFailed

    if not reason.strip():
        fail("--reason is empty; say why, it is kept with what was done", WRONG_USE)
    who, failures = _who(), []
    for portfolio in portfolios:
        try:
            done = session.operate(portfolio, action, reason, who)
        except ControlFailed as error:  # the others are to be halted all the same
            failures.append(f"{portfolio}: {error}" if len(portfolios) > 1 else str(error))
        else:
            typer.echo(f"{portfolio} {DONE[action]} (seq {done['seq']:,})")
    if failures:
        fail("\n".join(failures), FAILED)


def _who() -> str:
    import getpass
    import os
    import socket

    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, in a container
        name = f"user {os.getuid()}"
    return f"{name}@{socket.gethostname()}"


def _asked(question: Callable[[], T]) -> T:
    from daemon.cli import FAILED, fail
    from daemon.web.client import ControlFailed

    try:
        return question()
    except ControlFailed as error:
        fail(str(error), FAILED)


def _wrong(message: str) -> NoReturn:
    from daemon.cli import WRONG_USE, fail

    fail(message, WRONG_USE)
