"""The entries of `notify:`: what they may say, and what is told where they say something else."""

from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from daemon.config.document import from_python
from daemon.config.errors import Place
from daemon.config.notify import EmailTarget, Notify, NotifyConfig, check, names
from daemon.config.translate import problems
from daemon.notify.errors import NotifyError
from daemon.notify.secrets import missing, read, variables

TELEGRAM = {"target": "telegram", "chat": -100123}
EMAIL = {"target": "email", "host": "mail.example.org", "sender": "a@example.org", "to": ["b@example.org"]}
HOOK = {"target": "webhook", "url": "https://example.org/hook"}


class Whole(BaseModel):
    notify: NotifyConfig


def made(*targets: dict[str, Any]) -> tuple[Notify, ...]:
    return TypeAdapter(NotifyConfig).validate_python(targets)


def wrong(target: dict[str, Any], tmp_path: Any) -> list[str]:
    """What a user is told of a target."""
    root = from_python({"notify": [target]}, Place("a.yaml", 1, tmp_path))
    with pytest.raises(ValidationError) as caught:
        Whole.model_validate({"notify": [target]})
    return [f"{p.key}: {p.message}" for p in problems(caught.value, root, Whole)]


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ({"chat": 1}, "notify.0: names no target; add target: webhook, telegram or email"),
        ({**TELEGRAM, "target": "pigeon"}, "notify.0.target: is 'pigeon'; write one of 'webhook', 'telegram', 'email'"),
        ({**TELEGRAM, "token": "123:ABC"}, "notify.0.token: unknown key; did you mean 'token_env'?"),
        ({**TELEGRAM, "chat": "desk"}, "notify.0.chat: 'desk' is no chat; write its number, such as -1001234567890, or @name"),
        ({**TELEGRAM, "events": []}, "notify.0.events: is empty; give at least one entry"),
        ({**TELEGRAM, "every": "1ms"}, "notify.0.every: is out of range; write one from 1s to 1d"),
        ({"target": "webhook"}, "notify.0: takes one of url and url_env; write url: https://..., or url_env: the variable that holds it"),
        ({**HOOK, "format": "slack"}, "notify.0.url: of slack holds a token; put it into an environment variable, and write url_env: its name"),
        ({"target": "webhook", "format": "discord", "url_env": "A", "secret_env": "B"}, "notify.0.secret_env: is for format: generic; discord checks no signature, remove it"),
        ({**HOOK, "url": "ftp://x"}, "notify.0.url: is no address of a web server; write one such as https://example.org/hook"),
        ({**EMAIL, "security": "none"}, "notify.0.security: none sends all in the clear to mail.example.org; write starttls or tls"),
        ({**EMAIL, "sender": "a@b\r\nBcc: c@d"}, "notify.0.sender: 'a@b\\r\\nBcc: c@d' is no e-mail address; write one such as desk@example.org"),
        ({**EMAIL, "to": []}, "notify.0.to: is empty; give at least one entry"),
    ],
)  # fmt: skip
def test_mistake_is_told_with_its_field_and_what_to_do(
    target: dict[str, Any], told: str, tmp_path: Any
) -> None:
    assert wrong(target, tmp_path) == [told]


def test_secret_in_the_place_of_its_variables_name_is_not_repeated(tmp_path: Any) -> None:
    (told,) = wrong({**TELEGRAM, "token_env": "123456:AAE-secret"}, tmp_path)
    assert told.startswith(
        "notify.0.token_env: is no name of an environment variable; write its name in capitals"
    )
    assert "AAE" not in told


def test_defaults_are_the_usual_ports_and_all_events() -> None:
    local = {**EMAIL, "host": "localhost"}
    securities = ("tls", "starttls", "none")
    ports = [EmailTarget.model_validate({**local, "security": s}).usual_port for s in securities]
    assert ports == [465, 587, 25]
    assert made(TELEGRAM)[0].events == ("fills", "denials", "halts", "drift", "gaps", "feed", "notices")
    assert made(TELEGRAM)[0].every == 10 * 10**9


def test_targets_come_back_from_what_they_are_written_as() -> None:
    targets = made(TELEGRAM, EMAIL, {**HOOK, "secret_env": "KEY", "every": "1h", "accounts": ["a"]})
    assert made(*(t.model_dump(mode="json") for t in targets)) == targets


def test_names_are_numbered_where_several_are_of_a_kind_and_none_is_taken_twice() -> None:
    targets = made(TELEGRAM, {**TELEGRAM, "name": "telegram-2"}, TELEGRAM, {**EMAIL, "name": "night"}, EMAIL)
    assert names(targets) == ["telegram", "telegram-2", "telegram-3", "night", "email"]
    assert list(check(targets, ["a"])) == []


def test_same_name_and_unknown_account_are_found() -> None:
    targets = made({**TELEGRAM, "name": "x"}, {**EMAIL, "name": "x", "accounts": ["a", "c"]})
    assert list(check(targets, ["a", "b"])) == [
        ((1, "name"), "x is there already; choose another name"),
        ((1, "accounts", 1), "there is no account 'c'; there are a, b"),
    ]


def test_secret_is_read_from_its_variable_else_from_the_file_that_another_names(tmp_path: Any) -> None:
    file = tmp_path / "token"
    file.write_text("of-file\n")
    assert read("T", {"T": " of-variable ", "T_FILE": str(file)}).reveal() == "of-variable"
    assert read("T", {"T_FILE": str(file)}).reveal() == "of-file"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "T is not set; put the secret into it, or into a file that T_FILE names"),
        ("", "{file}, the file of T_FILE, is empty; put the secret into it"),
        (
            "one\ntwo",
            "{file}, the file of T_FILE, holds more than one line of plain text; put the secret alone into it",
        ),
    ],
)
def test_secret_that_is_not_there_is_told_without_showing_anything(
    content: str | None, told: str, tmp_path: Any
) -> None:
    file = tmp_path / "token"
    environ = {}
    if content is not None:
        file.write_text(content)
        environ = {"T_FILE": str(file)}
    with pytest.raises(NotifyError) as caught:
        read("T", environ)
    assert str(caught.value) == told.format(file=file)


def test_secret_in_a_file_that_is_not_there_is_told_with_its_path(tmp_path: Any) -> None:
    with pytest.raises(NotifyError, match=r"/no, the file of T_FILE, cannot be read: No such file"):
        read("T", {"T_FILE": str(tmp_path / "no")})


def test_variables_are_those_that_a_target_needs() -> None:
    hook = {"target": "webhook", "url_env": "U", "secret_env": "K"}
    targets = made(TELEGRAM, EMAIL, {**EMAIL, "user": "me"}, HOOK, hook)
    assert [variables(t) for t in targets] == [("TELEGRAM_TOKEN",), (), ("SMTP_PASSWORD",), (), ("U", "K")]
    assert missing(targets[4], {"U": "https://x"}) == [
        "K is not set; put the secret into it, or into a file that K_FILE names"
    ]
    assert missing(targets[1], {}) == []
