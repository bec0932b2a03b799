"""A session is opened: begun, with its history, or taken up where it was left, however it was left.

Start-up is recovery: the last snapshot, and the tape after it. What was committed is not decided again; it is replayed,
and what the engine then has must be what the ledger says.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import structlog

from daemon import compiled
from daemon.config.spec import inputs, sources
from daemon.config.types import ns_of
from daemon.live import rows
from daemon.live.content import Content
from daemon.live.core import Core
from daemon.live.errors import SessionError
from daemon.live.health import Health, Stage
from daemon.live.warmup import history, too_coarse, warm_up
from daemon.store.batch import Payload
from daemon.store.store import FirstEpoch

if TYPE_CHECKING:
    from daemon.config.paper import PaperConfig
    from daemon.data.feed import Source
    from daemon.store.store import Epoch, Session, Store

log = structlog.get_logger()


@dataclass
class Opened:
    """A session that can go on. settings: those to go on with, where they are others than so far."""

    core: Core
    session: Session
    epoch: int
    recovered: bool
    settings: Content | None
    first_seq: int  # of the epoch
    warm_rows: int  # of the configuration's data, which lie before the session


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold the lock of a session, so that no second process of this machine goes on with it. Raises SessionError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise SessionError(
            f"{path} cannot be written ({error.strerror}); set STATE_DIRECTORY to a folder of the user who runs this"
        ) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SessionError(
                f"{path} is held: another process runs this session; stop it, or give this one another `session`"
            ) from error
        yield
    finally:
        os.close(handle)


async def open_session(
    store: Store, config: PaperConfig, now_ns: int, health: Health, tell: Callable[[], None]
) -> Opened:
    """Begin the session of that name, or go on with it. tell: is called now and then, while it takes its time.

    Raises SessionError, CoreError, ConfigError, DataError, StoreError.
    """
    compiled.prepare(log.info)
    content = Content.of(config)
    found = await store.session(config.session)
    epochs = await store.epochs(found.id) if found else []
    if found and found.seq == epochs[0].first_seq - 1:  # its first start failed: its history is that of now
        await store.discard(found.id)
        found = None
    if found is None:
        return await _begin(store, content, now_ns, health, tell)
    return await _go_on(store, content, found, epochs, now_ns, health, tell)


async def _begin(
    store: Store, content: Content, now_ns: int, health: Health, tell: Callable[[], None]
) -> Opened:
    config = content.config
    trade_from = now_ns if config.live or config.start is None else ns_of(config.start)
    health.stage = Stage.WARMING
    core = Core(content, trade_from)
    core.start()

    def so_far(taken: int) -> None:
        health.seq, health.now = taken, core.engine.now
        tell()

    tape = history(config, trade_from)
    taken = warm_up(core, tape, trade_from, so_far)
    if config.live:
        core.engine.forget_bars(too_coarse(config, core.engine))
    log.info("warmed up", rows=taken)
    saved = core.save()
    if (cash := [int(a.cash) for a in core.engine.state.accounts]) != [
        int(a.initial) for a in core.engine.state.accounts
    ]:
        raise SessionError(
            f"deposits lie before start, and are on no tape (cash is {cash}); take them out, raise `cash`"
        )
    first = FirstEpoch(compiled.key(), content.hash, content.text, saved)
    session = await store.begin(config.session, core.spec, trade_from, core.seq, first)
    return Opened(core, session, 1, False, None, core.seq + 1, taken)


async def _go_on(
    store: Store,
    content: Content,
    session: Session,
    epochs: list[Epoch],
    now_ns: int,
    health: Health,
    tell: Callable[[], None],
) -> Opened:
    health.stage = Stage.RECOVERING
    epoch = epochs[-1]
    saved = await store.snapshot(session.id)
    if saved is None:
        raise SessionError(
            f"session {session.name!r} has no snapshot; restore a copy, or give this one another `session`"
        )
    build = compiled.key()
    if epoch.build != build and epoch.ended is None and saved.seq < session.seq:
        log.warning(
            "the session did not end cleanly, and was run by another build: what follows its last snapshot is replayed by "
            "this one, and compared with the ledger",
            build=build,
            was=epoch.build,
        )
    core = Core.load(saved.content)
    _check_models(core.content)
    if core.engine.state_hash() != saved.state_hash:
        raise SessionError(
            f"the snapshot of session {session.name!r} at seq {saved.seq} is damaged; restore a copy"
        )
    # one that has an end was left by a crash before the next was begun
    going = epoch.ended is None and epoch.build == build
    same = going and content.hash == core.content.hash
    if not core.complete and core.seq >= epoch.first_seq and (same or core.seq < session.seq):
        # strategies without a state_dict are as the tape of their epoch made them
        first = await store.snapshot(session.id, epoch.first_seq - 1)
        assert first is not None  # it is kept for ever
        core = Core.load(first.content)
    begun, began = core.seq, time.perf_counter()
    async for taped in store.inputs(session.id, core.seq):
        for _ in core.replay(taped):
            health.seq, health.now = core.seq, core.engine.now
        tell()
    seconds = round(time.perf_counter() - began, 3)
    await _check_books(store, session, core)
    log.info("recovered", seq=core.seq, snapshot=saved.seq, replayed=core.seq - begun, seconds=seconds)
    same = going and content.hash == core.content.hash  # the tape may have held new settings
    number, first_seq = epoch.number, epoch.first_seq
    if not same and not core.ended:
        core.fitting(content)  # or nothing is begun
        if not content.config.live:
            _check_rows(core, content.config)
        number, core = await _new_epoch(store, session, core, epoch, content, now_ns)
        first_seq = core.seq + 1
    current = await store.session(session.name)
    assert current is not None
    settings = None if content.hash == core.content.hash else content
    return Opened(core, current, number, True, settings, first_seq, epochs[0].first_seq - 1)


async def _new_epoch(
    store: Store, session: Session, core: Core, epoch: Epoch, content: Content, now_ns: int
) -> tuple[int, Core]:
    """End the epoch before, and begin the next: its number, and a core as the new one begins, from the snapshot."""
    at = max(now_ns, core.engine.now) if content.config.live else core.engine.now
    if epoch.ended is None:
        # No time passes at its last row: what is due since, a split of meanwhile, and the gap are of the next epoch.
        last = core.engine.now if core.engine.now > 0 else max(at, 0)
        why = {"epoch": epoch.number, "why": "another build, configuration or model", "version": version()}
        batch = core.take(rows.timer(last), [Payload(core.seq + 1, "stop", why)])
        await store.commit(session.id, replace(batch, snapshot=core.save()))
        await store.end_epoch(session.id, epoch.number, at)
    saved = core.save()
    number = await store.begin_epoch(
        session.id, compiled.key(), content.hash, content.text, at, None if epoch.ended is None else saved
    )
    return number, Core.load(saved.content)


def _check_models(was: Content) -> None:
    """Raise SessionError where a model is not what it was: what follows the snapshot was decided by the former."""
    now = Content.of(was.config).models
    for name, model in was.models.items():
        if now[name] != model:
            raise SessionError(
                f"{name} decided by the model {model}, and there is {now[name]} now; put that one back"
            )


def _check_rows(core: Core, config: PaperConfig) -> None:
    """Raise SessionError where a replay would have other rows up to here: it goes on behind as many as the session has."""

    def up_to_now(config: PaperConfig) -> tuple[list[Source], list[bytes]]:
        entered = inputs(config)
        n = 0 if entered is None else int(np.searchsorted(entered.ts_recv, core.engine.now, "right"))
        return [replace(s, end=None) for s in sources(config)], [c[:n].tobytes() for c in entered or ()]

    if up_to_now(core.content.config) != up_to_now(config):
        raise SessionError(
            "the session cannot go on with other rows than it began with: `data`, `start`, `warmup`, or an operator's acts or "
            "deposits before now have changed; change them back, or give it another `session`"
        )


async def _check_books(store: Store, session: Session, core: Core) -> None:
    """Raise SessionError where the engine's cash is not the ledger's."""
    ledger = await store.cash(session.id)
    state = core.engine.state
    for a, account in enumerate(core.spec.accounts):
        mine, theirs = int(state.accounts[a].cash), ledger.get(a, 0)
        if mine != theirs:
            scale = core.spec.scale(account.currency)
            raise SessionError(
                f"session {session.name!r}: account {account.name!r} has {mine / scale:,.2f} {account.currency} after the "
                f"replay, but {theirs / scale:,.2f} by the ledger; `papertape verify {session.name}` says where they part"
            )


def version() -> str:
    """The program's version."""
    from importlib.metadata import version as installed

    return installed("papertape")
