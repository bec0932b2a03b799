"""`papertape doctor`: can a paper session run here?

Exit codes are those of `papertape`; 1 where something fails.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from daemon.doctor.findings import Finding

_SHOWN = {"ok": ("ok", "green"), "warning": ("warning", "yellow"), "failed": ("FAILED", "red")}


def doctor(
    config: Annotated[Path, typer.Argument(help="A YAML file of a paper session.")],
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Override a value, such as feed.speed=10; repeatable."
        ),
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Leave out the network to Finnhub.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of lines.")] = False,
) -> None:
    """Look at all that a paper session needs, a line each, before it starts.

    Configuration, folders, disk, port, database, clock, token, feed, notifications, systemd, compiled engine, models,
    history. Nothing is changed, but that the engine is compiled where it was not.
    """
    import asyncio

    from daemon import compiled, logs
    from daemon.cli import FAILED, note

    logs.configure("error", "auto")
    compiled.prepare(lambda _: None)
    found = asyncio.run(_examined(config, tuple(overrides or ()), offline, quiet=as_json))
    failures = sum(finding.state == "failed" for finding in found)
    warnings = sum(finding.state == "warning" for finding in found)
    if as_json:
        import json

        findings = [finding._asdict() for finding in found]
        typer.echo(
            json.dumps(
                {"config": str(config), "failed": failures, "warnings": warnings, "findings": findings}
            )
        )
    else:
        note(f"looked at: {len(found)}, warnings: {warnings}, failed: {failures}")
    if failures:
        raise typer.Exit(FAILED)


async def _examined(config: Path, overrides: tuple[str, ...], offline: bool, quiet: bool) -> list[Finding]:
    from daemon.doctor.examining import examine

    found = []
    async for finding in examine(config, overrides, offline):
        found.append(finding)
        if not quiet:
            word, colour = _SHOWN[finding.state]
            typer.secho(f"{word:<8}", fg=colour, bold=finding.state == "failed", nl=False)
            typer.echo(f" {finding.check}: {finding.text}")
    return found
