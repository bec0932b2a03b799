"""Whether the engine is compiled, its models load, and its history is enough for the first decision."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from daemon.doctor.findings import Finding, failed, ok, warning

if TYPE_CHECKING:
    from daemon.config.paper import PaperConfig
    from daemon.live.core import Core

_DAY = 86_400 * 10**9
_STALE_NS = {True: _DAY, False: 4 * _DAY}  # a market around the clock, or one that rests on long week-ends


def compiled() -> Iterator[Finding]:
    """Whether machine code of this engine is kept."""
    import numba

    from daemon.compiled import COMPILED_SUFFIX, cache_root, key
    from engine.kernel import ENTRIES

    settings: Any = numba.config  # its names are made at run time
    if settings.DISABLE_JIT:
        yield warning(
            "compiled engine", "NUMBA_DISABLE_JIT is set: it runs hundreds of times slower; unset it"
        )
        return
    folder = cache_root() / key()
    if len(list(folder.rglob(f"*{COMPILED_SUFFIX}"))) >= ENTRIES:
        yield ok("compiled engine", f"is in {folder}")
    else:
        yield warning(
            "compiled engine",
            f"is not in {folder} yet; whatever runs it first compiles it, which takes a minute",
        )


def models(config: PaperConfig) -> Iterator[Finding]:
    """Whether the trained models load, and did not learn from what they are to trade."""
    from daemon.config.trained import found, learned_from
    from daemon.config.uses import is_model

    uses = [s.use for account in config.accounts for s in account.strategies if is_model(s.use)]
    try:
        loaded = [found(use, config.models).ref for use in uses]
        # live prices are of no time that anybody could have learned from
        known = [] if config.live else list(learned_from(config))
    except ValueError as error:
        yield failed("models", str(error))
        return
    yield from (warning("models", said) for said in known)
    if loaded and not known:
        yield ok(
            "models", f"{', '.join(dict.fromkeys(loaded))} {'loads' if len(set(loaded)) == 1 else 'load'}"
        )


def history(config: PaperConfig, now: int, core: Core | None = None) -> Iterator[Finding]:
    """Whether all that decides and measures has enough of it, as the session would find it: it is read to its end.

    now: ns UTC, when a live session would begin. core: of a session that goes on, which has its history.
    """
    if core is not None:
        lacking = _lacking(core)
        yield from lacking or [ok("history", "the session has it; nothing is missing")]
        return
    from daemon.backtest import EmptyTapeError
    from daemon.config.types import ns_of
    from daemon.data.errors import DataError
    from daemon.live.core import Core
    from daemon.live.warmup import history as rows_of
    from daemon.live.warmup import warm_up
    from strategies.errors import StrategyError

    until = now if config.live or config.start is None else ns_of(config.start)
    began = time.monotonic()
    try:
        core = Core.fresh(config, until)
        rows = warm_up(core, rows_of(config, until), until, lambda _: None)
        core.start()
    except (DataError, EmptyTapeError) as error:
        yield failed("history", str(error))
        return
    except StrategyError as error:
        yield failed("strategies", str(error))
        return
    lacking = _lacking(core)
    yield from lacking
    stale = list(_stale(config, core, now)) if config.live else []
    yield from stale
    if not lacking and not stale:
        yield ok(
            "history",
            f"{rows:,} rows in {time.monotonic() - began:.1f} s; nothing is missing at the first decision",
        )


def _lacking(core: Core) -> list[Finding]:
    from daemon.live.warmup import missing

    hint = "give more of it under data, or a longer warmup, or wait until enough came live"
    return [warning("history", f"{said}; {hint}") for said in missing(core.engine)]


def _stale(config: PaperConfig, core: Core, now: int) -> Iterator[Finding]:
    """Instruments whose history ended long ago: indicators would see all that happened since as one move."""
    for k, (name, given) in enumerate(config.instruments.items()):
        row = core.engine.state.instruments[k]
        if row.price > 0.0 and now - int(row.ts) > _STALE_NS[given.calendar == "24/7"]:
            ended = f"{datetime.fromtimestamp(int(row.ts) // 10**9, UTC):%Y-%m-%d %H:%M}"
            hint = "bring it up to date, for instance with `papertape data fetch`"
            yield warning(
                "history",
                f"that of {name} ends on {ended}, and what came since would count as one move; {hint}",
            )
