"""All that is looked at, in the order in which a start needs it."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from daemon.config.errors import ConfigError
from daemon.config.feeds import FinnhubFeed
from daemon.config.paper import PaperConfig, load_paper
from daemon.config.paper_places import database_url
from daemon.doctor import clock, database, engine, feed, places, session, unit
from daemon.doctor.findings import Finding, failed, ok


async def examine(path: Path, overrides: Sequence[str] = (), offline: bool = False) -> AsyncIterator[Finding]:
    """What is found, one after the other; of a configuration that cannot be used, what is wrong with it and no more.

    offline: leave the network to Finnhub out.
    """
    config = None
    for finding in configuration(path, overrides):
        if isinstance(finding, PaperConfig):
            config = finding
        else:
            yield finding
    if config is None:
        return
    for found in (places.folders(config), places.room(config), places.port(config)):
        for finding in found:
            yield finding
    url = database_url(config)
    looked = await database.database(url)
    yield looked.found
    core = None
    if looked.ready:
        told, core = await session.session(config, url)
        yield told
    for finding in clock.judge(await clock.measure(), looked.ahead):
        yield finding
    for finding in await prices(config, offline):
        yield finding
    for found in (feed.secrets(config), unit.systemd(os.environ), engine.compiled(), engine.models(config)):
        for finding in found:
            yield finding
    for finding in engine.history(config, time.time_ns(), core):
        yield finding


def configuration(path: Path, overrides: Sequence[str]) -> Sequence[Finding | PaperConfig]:
    """The configuration, behind what is found of it; without one where it cannot be used."""
    from daemon.config.spec import engine_spec
    from daemon.data.errors import DataError
    from engine.spec import SpecError
    from strategies.errors import StrategyError

    try:
        config = load_paper(path, overrides).config
        engine_spec(config)[0].check()
    except ConfigError as error:
        return [failed("configuration", str(problem)) for problem in error.problems]
    except (DataError, SpecError, StrategyError) as error:
        return [failed("configuration", f"{path}: {error}")]
    strategies = sum(len(account.strategies) for account in config.accounts)
    told = f"{len(config.instruments)} instruments, {len(config.accounts)} accounts, {strategies} strategies"
    return [ok("configuration", f"{path} is complete: {told}, session {config.session}"), config]


async def prices(config: PaperConfig, offline: bool) -> list[Finding]:
    """Whether they would come."""
    if not isinstance(config.feed, FinnhubFeed):
        return list(feed.replay(config))
    secret, found = feed.token(os.environ)
    if offline:
        return found
    return [*found, *await feed.finnhub(config.feed.url, secret, places.runs_already(config))]
