"""`papertape models`: trained models are listed, looked at, compared, promoted, imported and exported; `predict`.

Exit codes are those of `papertape`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from strategies.models import Card, Registry

app = typer.Typer(
    help="Keep trained models: list, compare, promote.", no_args_is_help=True, rich_markup_mode=None
)

Folder = Annotated[Path, typer.Option("--models", metavar="DIR", help="The folder of models.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Ref = Annotated[str, typer.Argument(help="NAME for its promoted version, or NAME@VERSION.")]
MODELS = Path("models")


@app.command("list")
def list_(
    name: Annotated[str | None, typer.Argument(help="Only versions of this model.")] = None,
    models: Folder = MODELS,
    as_json: Json = False,
) -> None:
    """Show what models there are, and how they did on data that they were not trained on."""
    from daemon.models_showing import listed, print_listed

    rows = listed(_registry(models), name)
    if as_json:
        _print_json(rows)
    else:
        print_listed(rows)


@app.command()
def show(ref: Ref, models: Folder = MODELS, as_json: Json = False) -> None:
    """Show a model's card: what it looks at, what it was trained on, how well it does."""
    from daemon.models_showing import described, print_card

    registry = _registry(models)
    card = registry.load(ref).card
    if as_json:
        _print_json(described(registry, card))
    else:
        print_card(registry, card)


@app.command()
def compare(
    refs: Annotated[list[str], typer.Argument(metavar="REF REF...", help="Two models or more.")],
    models: Folder = MODELS,
    as_json: Json = False,
) -> None:
    """Show models side by side: their figures, and what differs in how they were trained."""
    from daemon.models_showing import described, print_compared

    registry = _registry(models)
    cards = [registry.load(ref).card for ref in refs]
    if len(cards) < 2:
        raise _wrong(f"REF: there is only {refs[0]}; name two models or more")
    if as_json:
        _print_json([described(registry, card) for card in cards])
    else:
        print_compared(cards)


@app.command()
def promote(
    ref: Ref,
    min_deflated_sharpe: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="The least deflated Sharpe ratio; without it, the configuration's, or 0.95."
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Promote it whatever speaks against it; the card will say so.")
    ] = False,
    models: Folder = MODELS,
    as_json: Json = False,
) -> None:
    """Make a version the one that its name alone means."""
    registry = _registry(models)
    full = registry.resolve(ref)
    entry = registry.promote(full, min_deflated_sharpe, force)
    _print_entry(full, entry, "promoted", as_json)


@app.command()
def rollback(
    name: Annotated[str, typer.Argument(help="The model's name.")],
    models: Folder = MODELS,
    as_json: Json = False,
) -> None:
    """Go back to the version that was promoted before."""
    entry = _registry(models).rollback(name)
    _print_entry(f"{name}@{entry.version}", entry, "promoted again", as_json)


@app.command("import")
def import_(
    file: Annotated[
        Path,
        typer.Argument(help="A pickled Q-table of plain data, an .npy array, or an exported model's folder."),
    ],
    name: Annotated[str | None, typer.Option(help="The model's name here.")] = None,
    bins: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="YAML or JSON: for each feature the inner edges of its bins."),
    ] = None,
    actions: Annotated[
        str | None, typer.Option(help="The order of the table's actions, such as sell,hold,buy.")
    ] = None,
    timeframe: Annotated[str | None, typer.Option(help="The bars that it decides on: 1m, 1h, 1d.")] = None,
    features: Annotated[
        str | None, typer.Option(help="The order of the table's features, where it is not that of --bins.")
    ] = None,
    instruments: Annotated[
        str | None, typer.Option(help="What it was trained on, such as AAPL,MSFT.")
    ] = None,
    units: Annotated[float | None, typer.Option(help="What a full position is, in units.")] = None,
    fraction: Annotated[
        float | None,
        typer.Option(help="What a full position is, as a fraction of equity; else 0.95."),
    ] = None,
    short: Annotated[bool, typer.Option("--short", help="Sell means short, not flat.")] = False,
    key: Annotated[str | None, typer.Option(help="The entry of a pickled dict that is the table.")] = None,
    fill_with_hold: Annotated[
        bool, typer.Option("--fill-with-hold", help="Hold in states that the table does not know.")
    ] = False,
    models: Folder = MODELS,
    as_json: Json = False,
) -> None:
    """Take in a Q-table of another program, or a model of another registry; no code in it is run."""
    from daemon.models_importing import import_folder, import_table

    registry = _registry(models)
    table = {
        "bins": bins,
        "actions": actions,
        "timeframe": timeframe,
        "features": features,
        "instruments": instruments,
        "units": units,
        "fraction": fraction,
        "short": short,
        "key": key,
        "fill_with_hold": fill_with_hold,
    }
    if file.is_dir():
        said = [option for option, value in table.items() if value not in (None, False)]
        if said:
            raise _wrong(f"--{said[0].replace('_', '-')}: is for tables; {file} has a card that says it")
        ref = import_folder(registry, file, name)
    else:
        ref = import_table(registry, file, name, table)
    if as_json:
        _print_json({"model": ref, "folder": str(registry.load(ref).folder)})
    else:
        typer.echo(f"{ref} is in {registry.load(ref).folder}")


@app.command()
def export(
    ref: Ref,
    to: Annotated[Path, typer.Option(metavar="PATH", help="A new folder, or a new .npz file.")],
    format_: Annotated[
        str, typer.Option("--format", help="folder: as it is kept here; npz: one file of numpy arrays.")
    ] = "folder",
    models: Folder = MODELS,
    as_json: Json = False,
) -> None:
    """Write a model where another registry or program can read it."""
    from daemon.models_importing import EXPORTS

    if format_ not in EXPORTS:
        raise _wrong(f"--format: {format_!r} is not known; write {' or '.join(EXPORTS)}")
    loaded = _registry(models).load(ref)
    EXPORTS[format_](loaded, to)
    if as_json:
        _print_json({"model": loaded.ref, "to": str(to)})
    else:
        typer.echo(f"{loaded.ref} is in {to}")


def predict(
    model: Ref,
    state: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE,...", help="A number for each feature; repeatable, or one JSON object."
        ),
    ] = None,
    models: Folder = MODELS,
    as_json: Json = False,
) -> None:
    """Ask a trained model what it would do in a state, and how it values each action."""
    from daemon.models_showing import print_decision
    from strategies.models.deciding import decide, observation

    loaded = _registry(models).load(model)
    decision = decide(
        loaded.model, loaded.card.actions, observation(loaded.card, _state(state or [], loaded.card))
    )
    if as_json:
        _print_json(
            {
                "model": loaded.ref,
                "action": decision.action,
                "exposure": decision.exposure,
                "values": decision.values,
            }
        )
    else:
        print_decision(loaded.card, decision)


def _state(given: list[str], card: Card) -> dict[str, float]:
    import json

    example = f"write --state {card.features[0]}=1.5"
    state: dict[str, Any] = {}
    for text in given:
        if text.lstrip().startswith("{"):
            try:
                pairs = list(json.loads(text).items())
            except ValueError as error:
                raise _wrong(f"--state: is no JSON ({error}); {example}") from None
        else:
            pairs = [(name.strip(), value) for name, _, value in (p.partition("=") for p in text.split(","))]
        for name, value in pairs:
            if name in state:
                raise _wrong(f"--state: {name} is given twice; leave one out")
            try:
                state[name] = float(value)
            except (TypeError, ValueError):
                raise _wrong(f"--state: {name}: {value!r} is no number; {example}") from None
    return state


def _registry(folder: Path) -> Registry:
    from strategies.models import Registry

    return Registry(folder)


def _wrong(message: str) -> Exception:
    from strategies.errors import RegistryError

    return RegistryError(message)


def _print_entry(ref: str, entry: Any, done: str, as_json: bool) -> None:
    if as_json:
        _print_json({"model": ref, **entry.to_json()})
    else:
        against = f", by force, though {'; '.join(entry.overridden)}" if entry.forced else ""
        typer.echo(f"{ref} is {done}{against}")


def _print_json(value: Any) -> None:
    import json

    typer.echo(json.dumps(value, allow_nan=False))
