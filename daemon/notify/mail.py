"""How a message goes out as e-mail: by smtplib, in a thread that nobody has to wait for."""

from __future__ import annotations

import asyncio
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from email.message import EmailMessage
from email.utils import formatdate

from daemon.config.notify import EmailTarget
from daemon.feeds.secret import Secret
from daemon.notify.digest import Message
from daemon.notify.errors import Undelivered
from daemon.notify.secrets import read

STEP_S = 10.0  # for one answer of the server,
TIMEOUT_S = 30.0  # and for all of it
MOST_TEXT = 100_000
_REFUSED_FOR_GOOD = range(500, 600)  # SMTP: 4xx may be taken later


class Mail:
    """Writes e-mails, each over a connection of its own."""

    def __init__(
        self,
        target: EmailTarget,
        environ: Mapping[str, str],
        step_s: float = STEP_S,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._target = target
        self._password = read(target.password_env, environ) if target.user is not None else Secret("")
        self._step_s = step_s
        self._timeout_s = timeout_s

    async def send(self, message: Message) -> None:
        """Return when the server has taken it for at least one of those written to; raises Undelivered."""
        call = _Call(lambda open_: self._deliver(self._written(message), open_))
        try:
            async with asyncio.timeout(self._timeout_s):
                await call.result()
        except TimeoutError:
            raise Undelivered(f"{self._target.host} has not taken it within {self._timeout_s:g} s") from None
        finally:
            call.abandon()

    async def close(self) -> None:
        """There is nothing to let go of."""

    def _written(self, message: Message) -> EmailMessage:
        written = EmailMessage()
        written["Subject"] = f"[papertape] {message.subject}"
        written["From"] = self._target.sender
        written["To"] = ", ".join(self._target.to)
        written["Date"] = formatdate()
        # the same when it is sent again: a mailbox can tell that it has it
        written["Message-ID"] = f"<{message.id}@{self._target.sender.partition('@')[2]}>"
        written["Auto-Submitted"] = "auto-generated"
        written.set_content(message.text(MOST_TEXT))
        return written

    def _deliver(self, written: EmailMessage, opened: Callable[[socket.socket | None], None]) -> None:
        target = self._target
        host, port = target.host, target.usual_port
        try:
            if target.security == "tls":
                context = ssl.create_default_context()
                server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=self._step_s, context=context)
            else:
                server = smtplib.SMTP(host, port, timeout=self._step_s)
            with server:
                opened(server.sock)
                if target.security == "starttls":
                    server.starttls(context=ssl.create_default_context())
                    opened(server.sock)
                if target.user is not None:
                    server.login(target.user, self._password.reveal())
                server.send_message(written)
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            said = b"; ".join(dict.fromkeys(text for _, text in error.recipients.values()))
            raise Undelivered(
                self._said("takes none of the addresses", min(codes), said), final=min(codes) >= 500
            ) from None
        except smtplib.SMTPResponseException as error:
            text = error.smtp_error if isinstance(error.smtp_error, bytes) else str(error.smtp_error).encode()
            what = (
                "does not accept the user or password"
                if isinstance(error, smtplib.SMTPAuthenticationError)
                else "refuses it"
            )
            final = error.smtp_code in _REFUSED_FOR_GOOD
            raise Undelivered(self._said(what, error.smtp_code, text), final=final) from None
        except smtplib.SMTPNotSupportedError:
            missing = "STARTTLS" if target.security == "starttls" else "what is needed"
            raise Undelivered(f"{host} does not offer {missing}; see `security`", final=True) from None
        except ssl.SSLCertVerificationError as error:
            why = self._password.clean(error.verify_message)
            raise Undelivered(f"the certificate of {host} does not hold: {why}") from None
        except (smtplib.SMTPException, OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
            raise Undelivered(f"{host} cannot be reached, or broke off: {why}") from None

    def _said(self, what: str, code: int, text: bytes) -> str:
        said = self._password.clean(text.decode("utf-8", "replace"))
        return f"{self._target.host} {what} ({code} {said})"


class _Call:
    """A blocking call in a thread of its own, which neither the loop's end nor the process's waits for."""

    def __init__(self, work: Callable[[Callable[[socket.socket | None], None]], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[None] = self._loop.create_future()
        self._work = work
        self._socket: socket.socket | None = None
        self._over = False
        threading.Thread(target=self._run, name="papertape-mail", daemon=True).start()

    async def result(self) -> None:
        await asyncio.shield(self._done)

    def abandon(self) -> None:
        """Break off what still goes on; the thread ends by itself."""
        self._over = True
        self._break()
        if self._done.done():
            self._done.exception()  # which was looked at, then
        else:
            self._done.cancel()

    def _opened(self, opened: socket.socket | None) -> None:
        self._socket = opened
        if self._over:
            self._break()

    def _break(self) -> None:
        if self._socket is not None:
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:  # it is closed already
                return

    def _run(self) -> None:
        error: Exception | None = None
        try:
            self._work(self._opened)
        except Exception as raised:  # noqa: BLE001  (it is raised where the result is waited for)
            error = raised
        try:
            self._loop.call_soon_threadsafe(self._finish, error)
        except RuntimeError:  # the loop has ended: nobody waits
            return

    def _finish(self, error: Exception | None) -> None:
        if self._done.done():
            return
        if error is None:
            self._done.set_result(None)
        else:
            self._done.set_exception(error)
