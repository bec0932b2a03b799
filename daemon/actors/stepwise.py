"""How long a coroutine holds the event loop up."""

from __future__ import annotations

import asyncio
import time
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


@types.coroutine
def stepwise(work: Coroutine[Any, Any, T], tell: Callable[[float], None]) -> Generator[Any, Any, T]:
    """Await `work`; tell how many seconds each of its steps takes, in which nothing else of the loop can run.

    Cancelled once, it may clean up; cancelled again, it is left where it stands, so that nothing can refuse to end.
    """
    thrown: BaseException | None = None
    cancelled = False
    while True:
        begun = time.perf_counter()
        try:
            waits_for = work.send(None) if thrown is None else work.throw(thrown)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            tell(time.perf_counter() - begun)
        thrown = None
        try:
            yield waits_for
        except BaseException as error:  # also a cancellation is the work's, to clean up after itself
            if cancelled and isinstance(error, asyncio.CancelledError):
                work.close()
                raise
            cancelled = isinstance(error, asyncio.CancelledError)
            thrown = error
