"""What goes wrong with notifications.

NotifyError    a target cannot be used as configured: a secret is not there
Undelivered    one attempt to deliver a message failed; no error of the program's
"""

from __future__ import annotations


class NotifyError(Exception):
    """A target cannot be used as it is configured; the message says what to do, and shows no secret."""


class Undelivered(Exception):
    """A message was not taken. final: trying again would change nothing. after_s: the other side asks to wait so long."""

    def __init__(self, why: str, *, final: bool = False, after_s: float = 0.0) -> None:
        super().__init__(why)
        self.final = final
        self.after_s = after_s
