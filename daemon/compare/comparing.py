"""A recorded session beside a vendor's bars: how far they would have led elsewhere, and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.compare.attributing import Disagreement, Part, accounts, disagreements, strategies
from daemon.compare.history import vendor_bars
from daemon.compare.running import Run, prompt, promptly, run
from daemon.compare.tapes import Facts, Tape, ladder
from daemon.live.rows import joined
from daemon.store.batch import Gap
from daemon.store.errors import StoreUseError
from daemon.verify.exported import inputs
from daemon.verify.replaying import verify
from daemon.verify.restoring import restored

if TYPE_CHECKING:
    from daemon.store.store import Session, Store
    from engine.spec import EngineSpec


@dataclass(frozen=True)
class Compared:
    """What was found. facts: by instrument; uncovered: instruments of which the vendor has none, kept as recorded."""

    session: str
    spec: EngineSpec
    rows: int
    begin: int  # ns UTC
    end: int
    lengths: dict[str, int]  # of the vendor's bars, ns
    accounts: list[Part]
    strategies: list[Part]
    disagreements: list[Disagreement]
    facts: dict[str, Facts]
    uncovered: list[str]
    late: int  # recorded prints that came too late for their bar


async def compare(
    store: Store,
    session: Session,
    source: Path,
    overrides: Sequence[str] = (),
    *,
    build: str,
    folder: Path | None = None,
    tell: Callable[[str], None] = lambda message: None,
) -> Compared:
    """Run a session's agents on its own tape and on those that lead to a vendor's bars, step by step.

    folder: as for `verify`. The whole tape is held in memory: about 200 bytes an input. Raises StoreUseError where the session's tape does not give
    what was recorded, ConfigError, DataError, StoreError.
    """
    verified = await verify(store, session, build=build, folder=folder)
    if verified.failure is not None:
        raise StoreUseError(
            f"session {session.name!r} is not what its tape gives, so nothing can be attributed: {verified.failure.what}; "
            f"look at `papertape verify {session.name}`"
        )
    for note in verified.notes:
        tell(note)
    epoch = (await store.epochs(session.id))[0]
    start = await store.snapshot(session.id, epoch.first_seq - 1)
    core = restored(epoch, start, build)
    recorded = await _recorded(store, session, core.seq, folder)
    begin = max(core.engine.now, core.trade_from)
    end = int(recorded.ticks.ts_recv.max())
    bars, lengths = vendor_bars(source, overrides, core.content.config, begin, end)
    gaps = [
        Gap(row["instrument"], row["since"], row["until"], row["why"])
        for row in await store.find("gaps", session=session.id)
    ]
    steps = ladder(recorded, begin, gaps, bars, lengths)
    runs: list[Run] = [run(core, recorded)]
    for tape in steps.tapes[1:]:
        told = [(i, promptly(payload)) for i, payload in tape.payloads]
        runs.append(run(prompt(restored(epoch, start, build)), Tape(tape.ticks, told)))
    spec = core.spec
    names = [i.name for i in spec.instruments]
    owner = {s.name: s.account for s in spec.strategies} | {
        f"operator:{a.name}": a.name for a in spec.accounts
    }
    return Compared(
        session.name,
        spec,
        len(recorded.ticks.price),
        begin,
        end,
        {names[k]: ns for k, ns in lengths.items()},
        accounts(runs, owner),
        strategies(runs),
        disagreements(runs, min(lengths.values())),
        {names[k]: facts for k, facts in steps.facts.items()},
        [name for k, name in enumerate(names) if k not in lengths],
        runs[0].late,
    )


async def _recorded(store: Store, session: Session, after: int, folder: Path | None) -> Tape:
    parts, payloads = [], []
    async for taped in inputs(store, session, after, session.seq, folder):
        parts.append(taped.ticks)
        payloads += [(p.seq - after - 1, p) for p in taped.payloads]
    if not parts:
        raise StoreUseError(f"session {session.name!r} has no input yet; there is nothing to compare")
    return Tape(joined(parts), payloads)
