"""Whether a session that is in the database can go on with this configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.doctor.findings import Finding, failed, ok

if TYPE_CHECKING:
    from daemon.config.paper import PaperConfig
    from daemon.live.core import Core


async def session(config: PaperConfig, url: str) -> tuple[Finding, Core | None]:
    """What is found, and the session as it was last kept; None where there is none, or it cannot go on."""
    from daemon.config.errors import ConfigError
    from daemon.data.errors import DataError
    from daemon.live.content import Content
    from daemon.live.core import Core
    from daemon.live.errors import LiveError
    from daemon.store.errors import StoreError
    from daemon.store.store import Store
    from strategies.errors import StrategyError

    name = config.session
    try:
        async with await Store.open(url) as store:
            found = await store.session(name)
            saved = await store.snapshot(found.id) if found else None
    except StoreError as error:
        return failed("session", str(error)), None
    if found is None:
        return ok("session", f"{name} begins with the next start"), None
    try:
        if saved is None:
            raise LiveError(f"{name} has no snapshot; restore a copy, or give this one another `session`")
        core = Core.load(saved.content)
        if core.ended:
            raise LiveError(f"{name} has ended: its tape is over; another `session` begins anew")
        content = Content.of(config)
        same = content.hash == core.content.hash
        core.change(content)
    except (LiveError, ConfigError, DataError, StrategyError) as error:
        return failed("session", str(error)), None
    behind = found.seq - saved.seq
    how = "as it was" if same else "with another configuration, as a new epoch"
    return ok(
        "session", f"{name} goes on behind seq {found.seq:,}, {how}; {behind:,} rows are replayed first"
    ), core
