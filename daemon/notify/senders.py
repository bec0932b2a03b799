"""How a message goes to a webhook, to Slack, Discord or Telegram: the address, and the form that each wants."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from typing import Any, Protocol

from daemon.config.notify import EmailTarget, Notify, TelegramTarget, WebhookTarget
from daemon.feeds.secret import Secret
from daemon.notify.digest import Message
from daemon.notify.errors import NotifyError, Undelivered
from daemon.notify.http import Poster, as_json
from daemon.notify.secrets import read
from strategies.errors import iso_utc

# characters that the services take in one message, and a little less than that
MOST_DISCORD = 1_900
MOST_TELEGRAM = 4_000
MOST_SLACK = 10_000
MOST_TEXT = 100_000


class Sender(Protocol):
    """Delivers messages to one target, one at a time."""

    async def send(self, message: Message) -> None:
        """Return when the other side has taken it; raises Undelivered."""

    async def close(self) -> None:
        """Let go of connections."""


class Webhook:
    """Posts JSON: all facts, or a text as Slack or Discord want it.

    A signed one has the header ``X-Papertape-Signature: sha256=HEX``, the HMAC-SHA256 of the header
    ``X-Papertape-Timestamp`` (seconds since 1970), a dot and the body.
    """

    def __init__(self, target: WebhookTarget, environ: Mapping[str, str], poster: Poster) -> None:
        self._format = target.format
        self._url = Secret(target.url) if target.url is not None else _address(str(target.url_env), environ)
        self._key = read(target.secret_env, environ) if target.secret_env is not None else None
        self._poster = poster

    async def send(self, message: Message) -> None:
        body = as_json(_FORMS[self._format](message))
        headers = {}
        if self._key is not None:
            headers = signed(self._key, str(int(time.time())), body)
        await self._poster.post(self._url.reveal(), body, headers, self._url.clean)

    async def close(self) -> None:
        await self._poster.close()


class Telegram:
    """Posts to a bot's `sendMessage`."""

    def __init__(self, target: TelegramTarget, environ: Mapping[str, str], poster: Poster) -> None:
        self._token = read(target.token_env, environ)
        if not re.fullmatch(r"[0-9A-Za-z:_-]+", self._token.reveal()):
            raise NotifyError(
                f"{target.token_env} holds no bot's token; copy it whole, it is like 123456:ABC-DEF"
            )
        self._base = target.url.rstrip("/")
        self._chat = target.chat
        self._poster = poster

    async def send(self, message: Message) -> None:
        text = message.text(MOST_TELEGRAM, length=_utf16)
        body = as_json({"chat_id": self._chat, "text": text, "link_preview_options": {"is_disabled": True}})
        url = f"{self._base}/bot{self._token.reveal()}/sendMessage"
        answer = await self._poster.post(url, body, {}, self._token.clean)
        if answer.json().get("ok") is not True:  # a captive portal, say
            raise Undelivered("the answer is not that of Telegram's bots")

    async def close(self) -> None:
        await self._poster.close()


def sender(target: Notify, environ: Mapping[str, str]) -> Sender:
    """What delivers to a target. Raises NotifyError where one of its secrets is not there."""
    if isinstance(target, WebhookTarget):
        return Webhook(target, environ, Poster())
    if isinstance(target, EmailTarget):
        from daemon.notify.mail import Mail

        return Mail(target, environ)
    return Telegram(target, environ, Poster())


def signed(key: Secret, timestamp: str, body: bytes) -> dict[str, str]:
    """The headers by which a receiver knows that the body is ours, and of when it is."""
    digest = hmac.new(key.reveal().encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return {"X-Papertape-Timestamp": timestamp, "X-Papertape-Signature": f"sha256={digest.hexdigest()}"}


def _address(variable: str, environ: Mapping[str, str]) -> Secret:
    found = read(variable, environ)
    if not re.fullmatch(r"https?://[!-~]+", found.reveal()):
        raise NotifyError(f"{variable} holds no address of a web server; it begins with https://")
    return found


def _generic(message: Message) -> dict[str, Any]:
    return {
        "id": message.id,
        "session": message.session,
        "ts": iso_utc(message.ts),
        "subject": message.subject,
        "text": message.text(MOST_TEXT),
        "counts": message.counts,
        "events": [
            {
                "event": line.event,
                "ts": iso_utc(line.ts),
                "account": line.account or None,
                "level": line.level,
                "text": line.text,
                **line.facts,
            }
            for line in message.lines
        ],
    }


def _slack(message: Message) -> dict[str, Any]:
    def shown(text: str) -> str:
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    return {"text": message.text(MOST_SLACK, shown), "mrkdwn": False}


def _discord(message: Message) -> dict[str, Any]:
    def shown(text: str) -> str:
        return re.sub(r"([\\*_~`|>#\[\]@:])", r"\\\1", text)

    # names in it call nobody, and its links show nothing
    text = message.text(MOST_DISCORD, shown, _utf16)
    return {"content": text, "allowed_mentions": {"parse": []}, "flags": 4}


def _utf16(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


_FORMS = {"generic": _generic, "slack": _slack, "discord": _discord}
