"""What an operator can do to a running session."""

from __future__ import annotations

from typing import Any, Protocol


class ControlError(Exception):
    """What was asked for cannot be done; the text is the operator's."""


class Controls(Protocol):
    """A running session, as seen from outside. All that it tells is committed."""

    async def operate(self, portfolio: str, action: str, reason: str, who: str) -> dict[str, Any]:
        """Halt, reduce_only, reset or flatten an account, or "account/strategy"; what came of it, after its commit.

        Raises ControlError.
        """

    async def reload(self) -> dict[str, Any]:
        """Read the configuration anew: {"changed": [keys], "needs_restart": [keys], "needs_session": why or None}.

        Raises ControlError, ConfigError.
        """

    def status(self) -> dict[str, Any]:
        """What it is and has, as JSON."""
