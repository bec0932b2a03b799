"""Tokens, passwords and keys of targets: from the environment, or from a file that it names, as systemd's credentials are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from daemon.config.notify import Notify, WebhookTarget
from daemon.feeds.secret import Secret
from daemon.notify.errors import NotifyError


def read(name: str, environ: Mapping[str, str]) -> Secret:
    """What $NAME holds, else what is in the file that $NAME_FILE names. Raises NotifyError where there is nothing."""
    value, place = environ.get(name, "").strip(), name
    if not value and (file := environ.get(f"{name}_FILE")):
        place = f"{file}, the file of {name}_FILE,"
        try:
            value = Path(file).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
            raise NotifyError(f"{place} cannot be read: {why}") from None
        if not value:
            raise NotifyError(f"{place} is empty; put the secret into it")
    if not value:
        raise NotifyError(f"{name} is not set; put the secret into it, or into a file that {name}_FILE names")
    if not value.isprintable() or not value.isascii():
        raise NotifyError(f"{place} holds more than one line of plain text; put the secret alone into it")
    return Secret(value)


def variables(target: Notify) -> tuple[str, ...]:
    """The environment variables that a target's secrets are in."""
    if isinstance(target, WebhookTarget):
        return tuple(name for name in (target.url_env, target.secret_env) if name is not None)
    if target.target == "email":
        return (target.password_env,) if target.user is not None else ()
    return (target.token_env,)


def missing(target: Notify, environ: Mapping[str, str]) -> list[str]:
    """What is wrong with a target's secrets, one message each; none where all are there. Shows no secret."""
    found = []
    for name in variables(target):
        try:
            read(name, environ)
        except NotifyError as error:
            found.append(str(error))
    return found
