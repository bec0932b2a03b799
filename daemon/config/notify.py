"""Who is told of what happens in a live session: the entries of `notify:`, one model for each kind of target."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from daemon.config import checks
from daemon.config.base import SOME, Model
from daemon.config.types import Duration, Name

Event = Literal["fills", "denials", "halts", "drift", "gaps", "feed", "notices"]
EVENTS: tuple[Event, ...] = ("fills", "denials", "halts", "drift", "gaps", "feed", "notices")
LOCAL = ("localhost", "127.0.0.1", "::1")
_HOST = r"[A-Za-z0-9:](?:[A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?"


def _variable(name: str) -> str:
    if not re.fullmatch(r"[A-Z][A-Z0-9_]{0,99}", name):
        # what stands there may be the secret itself: it is not shown
        raise ValueError(
            "is no name of an environment variable; write its name in capitals, such as TELEGRAM_TOKEN, and put the "
            "secret into that variable, or into the file that TELEGRAM_TOKEN_FILE names"
        )
    return name


def _web_address(url: str) -> str:
    if not re.fullmatch(rf"https?://(?:\[[0-9A-Fa-f:]+\]|{_HOST})(?::[0-9]{{1,5}})?(?:/[!-~]*)?", url):
        raise ValueError("is no address of a web server; write one such as https://example.org/hook")
    return url


def _mail_address(address: str) -> str:
    if not re.fullmatch(r"[^\s@<>,;:\"\\]+@[^\s@<>,;:\"\\]+", address) or not address.isascii():
        raise ValueError(f"{address!r} is no e-mail address; write one such as desk@example.org")
    return address


def _text(chat: Any) -> Any:
    return str(chat) if isinstance(chat, int) and not isinstance(chat, bool) else chat


def _chat(chat: str) -> str:
    if not re.fullmatch(r"-?[0-9]{1,20}|@[A-Za-z0-9_]{4,64}", chat):
        raise ValueError(f"{chat!r} is no chat; write its number, such as -1001234567890, or @name")
    return chat


def _host(name: str) -> str:
    if not re.fullmatch(_HOST, name):
        raise ValueError(
            f"{name!r} is no host; write a name such as mail.example.org, and its port as `port`"
        )
    return name


Variable = Annotated[
    str, AfterValidator(_variable), Field(json_schema_extra={"pattern": "^[A-Z][A-Z0-9_]{0,99}$"})
]
WebAddress = Annotated[str, AfterValidator(_web_address)]
Chat = Annotated[str, BeforeValidator(_text, json_schema_input_type=str | int), AfterValidator(_chat)]
MailAddress = Annotated[str, AfterValidator(_mail_address)]


class _Target(Model):
    model_config = ConfigDict(hide_input_in_errors=True)

    name: Name | None = Field(
        default=None, description="Names it in logs and metrics; null: after its kind, numbered where needed."
    )
    events: Annotated[tuple[Event, ...], *SOME] = Field(
        default=EVENTS,
        description="What it is told: fills; denials (orders refused by the gate or the broker); halts (changes of the "
        "trading state); drift (a limit on risk reached or left, the risk model rejected or accepted again); gaps "
        "(prices that did not come); feed (what became of the connection); notices (all else that an operator should know).",
    )
    level: Literal["info", "warning", "error"] = Field(
        default="warning",
        description="Notices, and what the feed says of itself, are left out below this level.",
    )
    accounts: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        default=(),
        description="Of these accounts only; what belongs to no account, such as a gap, is told all the same. Empty: all.",
    )
    every: Duration = Field(
        default=10 * 10**9,
        description="At most one message in this time: what happens meanwhile goes into the next one.",
        json_schema_extra={"default": "10s"},
    )

    @field_validator("every")
    @classmethod
    def _bearable(cls, every: int) -> int:
        if not 10**9 <= every <= 86_400 * 10**9:
            raise ValueError("is out of range; write one from 1s to 1d")
        return every


class WebhookTarget(_Target):
    """JSON, posted to an address: of your own program, of Slack or of Discord."""

    target: Literal["webhook"]
    format: Literal["generic", "slack", "discord"] = Field(
        default="generic",
        description="generic: all facts, for a program of yours; slack and discord: a text.",
    )
    url: WebAddress | None = Field(
        default=None,
        description="Where to. One that holds a token, as Slack's and Discord's do, goes into url_env.",
    )
    url_env: Variable | None = Field(
        default=None, description="The environment variable that holds it; NAME_FILE may name a file instead."
    )
    secret_env: Variable | None = Field(
        default=None,
        description="generic: the variable (or NAME_FILE) of the key that signs what is sent, by HMAC-SHA256; null: unsigned.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        checks.refuse(_webhook(self))
        return self


class TelegramTarget(_Target):
    """A message of a Telegram bot to a chat."""

    target: Literal["telegram"]
    chat: Chat = Field(description="The chat's number, or the @name of a channel.")
    token_env: Variable = Field(
        default="TELEGRAM_TOKEN",
        description="The environment variable (or NAME_FILE) that holds the bot's token.",
    )
    url: WebAddress = Field(default="https://api.telegram.org", description="Where the bot's interface is.")


class EmailTarget(_Target):
    """An e-mail."""

    target: Literal["email"]
    host: Annotated[str, AfterValidator(_host)] = Field(description="The mail server.")
    security: Literal["tls", "starttls", "none"] = Field(
        default="starttls", description="tls: encrypted from the start; none: on this machine only."
    )
    port: int | None = Field(
        default=None, gt=0, lt=65_536, description="Its port; null: 465 for tls, 587 for starttls, else 25."
    )
    user: str | None = Field(default=None, min_length=1, description="Who logs in; null: nobody does.")
    password_env: Variable = Field(
        default="SMTP_PASSWORD",
        description="With a user: the environment variable (or NAME_FILE) that holds the password.",
    )
    sender: MailAddress = Field(description="Who writes.")
    to: Annotated[tuple[MailAddress, ...], *SOME] = Field(description="Who is written to.")

    @property
    def usual_port(self) -> int:
        """The port, also where none is given."""
        return self.port or {"tls": 465, "starttls": 587, "none": 25}[self.security]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.security == "none" and self.host not in LOCAL:
            checks.refuse(
                [(("security",), f"none sends all in the clear to {self.host}; write starttls or tls")]
            )
        return self


Notify = Annotated[WebhookTarget | TelegramTarget | EmailTarget, Field(discriminator="target")]
NotifyConfig = Annotated[tuple[Notify, ...], Field(strict=False)]


def names(targets: Sequence[Notify]) -> list[str]:
    """What each target is called: its name, else its kind, numbered where there are several of it."""
    found: list[str] = []
    for target in targets:
        base, n = target.name or target.target, 1
        name = base
        while target.name is None and (name in found or any(name == other.name for other in targets)):
            n += 1
            name = f"{base}-{n}"
        found.append(name)
    return found


def check(targets: Sequence[Notify], accounts: Collection[str]) -> Iterator[checks.Finding]:
    """No two targets have one name, and the accounts of each are there."""
    called = names(targets)
    for i, target in enumerate(targets):
        if called[i] in called[:i]:
            yield (i, "name"), f"{called[i]} is there already; choose another name"
        for k, account in enumerate(target.accounts):
            if account not in accounts:
                yield (i, "accounts", k), f"there is no account {account!r}; there are {', '.join(accounts)}"


def _webhook(given: WebhookTarget) -> Iterator[checks.Finding]:
    if (given.url is None) == (given.url_env is None):
        yield (
            (),
            "takes one of url and url_env; write url: https://..., or url_env: the variable that holds it",
        )
    if given.secret_env is not None and given.format != "generic":
        yield ("secret_env",), f"is for format: generic; {given.format} checks no signature, remove it"
    if given.secret_env is None and given.url is not None and given.format != "generic":
        yield (
            ("url",),
            f"of {given.format} holds a token; put it into an environment variable, and write url_env: its name",
        )
