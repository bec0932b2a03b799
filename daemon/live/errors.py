"""What can keep a session from running, beside what its parts raise.

    LiveError
      CoreError      the engine cannot go on so: another configuration, a snapshot that does not fit
      SessionError   the session cannot be opened: another process has it, or its books do not agree
      EndedError     its tape is over

Each ends the process; what is committed stays.
"""

from __future__ import annotations


class LiveError(Exception):
    """A session cannot run; the text says why, and what to do."""


class CoreError(LiveError):
    """The engine cannot go on so."""


class SessionError(LiveError):
    """The session cannot be opened."""


class EndedError(LiveError):
    """The session's tape is over."""
