"""What can go wrong with a provider.

FetchError is the user's to mend and ends everything; the other two concern one request.

    DataError
      FetchError    wrong use: an unknown provider or bar, no key, a library that is not installed
    ProviderError
      Refused       asked again, the provider would answer the same
      Transient     asked again later, it may answer otherwise
"""

from __future__ import annotations

from daemon.data.errors import DataError


class FetchError(DataError):
    """Nothing can be fetched as it was asked for; the message says what to do."""


class ProviderError(Exception):
    """A provider did not give what was asked for."""


class Refused(ProviderError):
    """The answer is no, or is not to be used; it would be the same another time."""


class Transient(ProviderError):
    """No answer now, and perhaps one later. retry_after: seconds that the provider asks to wait, if it says so."""

    def __init__(self, problem: str, retry_after: float | None = None) -> None:
        super().__init__(problem)
        self.retry_after = retry_after
