"""What the commands of the models print on a terminal, and the same as plain data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from daemon.catalog.showing import print_table
from daemon.config.types import format_duration
from strategies.models import Card, Registry
from strategies.models.deciding import Decision

SPANS = ("train", "validation", "test")
FIGURES = (("return", "return"), ("buy_and_hold", "buy and hold"), ("sharpe", "Sharpe"), ("fills", "fills"))
_SHARES = ("return", "buy_and_hold")


def listed(registry: Registry, name: str | None = None) -> list[dict[str, Any]]:
    """One entry a version: of its card what one chooses by, or `error` where the card cannot be used."""
    promoted = {known: registry.promoted(known) for known in registry.names()}
    rows = []
    for ref, card in registry.cards(name):
        known, _, version = ref.partition("@")
        row: dict[str, Any] = {"model": ref, "name": known, "version": version}
        row["promoted"] = version == promoted[known]
        if isinstance(card, Card):
            row |= {
                "algorithm": card.algorithm,
                "created": card.to_json()["created"],
                "test": card.metric("test").model_dump(mode="json"),
                "deflated_sharpe": card.deflated_sharpe,
                "controls": controls_passed(card),
                "forced": is_forced(card),
            }
        else:
            row["error"] = str(card)
        rows.append(row)
    return rows


def print_listed(rows: Sequence[dict[str, Any]]) -> None:
    """One line a version, and below them what is wrong with those that cannot be used."""
    if not rows:
        print_text("there are no models; `papertape train` makes one, `papertape models import` takes one in")
        return
    headings = (
        "name",
        "version",
        "algorithm",
        "created",
        ">test",
        ">buy and hold",
        ">Sharpe",
        ">deflated",
        "controls",
        "promoted",
    )
    print_table(headings, (_line(row) for row in rows))
    for row in rows:
        if "error" in row:
            print_text(row["error"])


def described(registry: Registry, card: Card) -> dict[str, Any]:
    """A card, whether it is what its name means, and the promotions of its name."""
    return card.to_json() | {
        "model": card.ref,
        "promoted": registry.promoted(card.name) == card.version,
        "promotions": [entry.to_json() for entry in registry.promotions(card.name)],
    }


def print_card(registry: Registry, card: Card) -> None:
    """A card for reading: what the model is, its figures by span, what speaks for it, its promotions."""
    print_table((card.ref, ""), _facts(card))
    if card.metrics:
        spans = list(dict.fromkeys((*(s for s in SPANS if s in card.metrics), *card.metrics)))
        rows = (
            (title, *(_figure(key, _metrics(card, span).get(key)) for span in spans))
            for key, title in FIGURES
        )
        print_table(("", *(f">{span}" for span in spans)), rows)
    if beside := [*_beside(card)]:
        print_table(("test span", ">return", ">Sharpe"), beside)
    walk = card.evaluation.get("walk_forward")
    if isinstance(walk, dict) and isinstance(held := walk.get("buy_and_hold"), dict):
        folds: Any = walk.get("folds")
        tests: list[tuple[str, Any, Any]] = [
            (
                f"{f['spans']['test']['start'][:10]} to {f['spans']['test']['end'][:10]}",
                f["return"],
                f["buy_and_hold"],
            )
            for f in folds
        ]
        tests.append(("all together", walk.get("return"), held.get("return")))
        print_table(
            ("walk-forward", ">return", ">buy and hold"),
            [(name, _figure("return", one), _figure("return", other)) for name, one, other in tests],
        )
    if isinstance(verdict := card.evaluation.get("verdict"), str):
        print_text(f"{verdict}\n")
    current = registry.promoted(card.name)
    print_text(
        f"{card.name} means this version"
        if current == card.version
        else f"{card.name} means version {current}"
        if current
        else f"no version of {card.name} is promoted"
    )
    for entry in registry.promotions(card.name):
        if entry.version == card.version:
            what = "promoted" if entry.how == "promote" else "came back by a rollback"
            forced = f", FORCED though {'; '.join(entry.overridden)}" if entry.forced else ""
            print_text(f"{entry.at:%Y-%m-%d %H:%M} {what}{forced}")


def print_compared(cards: Sequence[Card]) -> None:
    """The figures of models side by side, and those of their facts and settings that differ."""
    rows = [
        (f"{span} {title}", *(_figure(key, _metrics(card, span).get(key)) for card in cards))
        for span in SPANS
        for key, title in FIGURES
        if any(span in card.metrics for card in cards)
    ]
    rows += _differing([dict(_facts(card)) for card in cards])
    rows += _differing([dict(_flat(card.config, "config")) for card in cards])
    print_table(("", *(card.ref for card in cards)), rows)


def print_decision(card: Card, decision: Decision) -> None:
    """The best action with the value of each, or the target."""
    if decision.action is not None:
        rows = ((name, f"{value:.6g}", _best(name, decision)) for name, value in decision.values.items())
        print_table(("action", ">value", ""), rows)
        print_text(f"{card.ref}: {decision.action}")
        return
    size = card.actions.size
    unit = "units" if size.units is not None else "of equity"
    print_table(
        ("target", ">value"),
        [("output", f"{decision.values['exposure']:.6g}"), (f"exposure, {unit}", f"{decision.exposure:.6g}")],
    )
    print_text(f"{card.ref}: {decision.exposure:.6g} {unit}")


def print_text(text: str) -> None:
    """A line as it is, which no table breaks."""
    import typer

    typer.echo(text)


def controls_passed(card: Card) -> bool | None:
    """Whether the controls of its training passed; None where they were not run."""
    return None if card.controls is None else card.controls.get("passed") is True


def is_forced(card: Card) -> bool:
    """Whether it was promoted against what its evaluation says."""
    return card.promotion is not None and bool(card.promotion.get("forced"))


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    if "error" in row:
        return (row["name"], row["version"], "cannot be used", *[""] * 6, "yes" if row["promoted"] else "")
    test = row["test"]
    return (
        row["name"],
        row["version"],
        row["algorithm"],
        row["created"][:16].replace("T", " "),
        _figure("return", test["return"]),
        _figure("buy_and_hold", test["buy_and_hold"]),
        _figure("sharpe", test["sharpe"]),
        _figure("deflated", row["deflated_sharpe"]),
        _CONTROLS[row["controls"]],
        "" if not row["promoted"] else "forced" if row["forced"] else "yes",
    )


_CONTROLS = {None: "not run", True: "passed", False: "FAILED"}


def _facts(card: Card) -> Iterator[tuple[str, str]]:
    size = card.actions.size
    full = f"{size.units:g} units" if size.units is not None else f"{size.fraction:.0%} of equity"
    threshold = f", orders from {card.actions.threshold:g} on" if card.actions.threshold else ""
    yield "algorithm", card.algorithm
    yield "created", f"{card.created:%Y-%m-%d %H:%M:%S} {card.created.tzname()}"
    yield "code version", card.code_version
    yield "features", ", ".join(card.features)
    yield "timeframe", format_duration(card.timeframe_ns)
    yield "instruments", ", ".join(card.instruments) or "–"
    yield (
        "actions",
        f"{card.actions.kind}, {'long or short' if card.actions.short else 'long or flat'}, {full}{threshold}",
    )
    yield "reward", _short(card.reward)
    yield "steps", "–" if card.steps is None else f"{card.steps:,}"
    yield "seed", "–" if card.seed is None else str(card.seed)
    yield "data", card.data_hash or "–"
    yield "configuration", card.config_hash or "–"
    for span, given in card.spans.items():
        yield f"{span} span", _short(given)
    yield "controls", _CONTROLS[controls_passed(card)]
    yield "deflated Sharpe", _figure("deflated", card.deflated_sharpe)
    yield "files", ", ".join(card.files)


def _differing(columns: Sequence[dict[str, str]]) -> list[tuple[str, ...]]:
    keys = dict.fromkeys(key for column in columns for key in column)
    rows = [(key, *(column.get(key, "–") for column in columns)) for key in keys]
    return [row for row in rows if len(set(row[1:])) > 1]


def _flat(value: Any, key: str) -> Iterator[tuple[str, str]]:
    # a configuration as dotted keys
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(inner, f"{key}.{name}")
    else:
        yield key, _short(value)


def _beside(card: Card) -> Iterator[tuple[str, str, str]]:
    """What the model did on the test span at other costs and a bar late, and what others did there: return, Sharpe ratio."""
    test = _metrics(card, "test")
    runs = {
        "at no costs": test.get("costs", {}).get("x0"),
        "at twice the costs": test.get("costs", {}).get("x2"),
        "a bar late": test.get("delay"),
        **test.get("baselines", {}),
    }
    for name, figures in runs.items():
        if not isinstance(figures, dict):
            continue
        found = {key: figures.get(key) for key in ("return", "sharpe")}
        middle = {k: v.get("median") if isinstance(v, dict) else v for k, v in found.items()}
        title = f"{name}, median" if middle != found else name
        yield title, _figure("return", middle["return"]), _figure("sharpe", middle["sharpe"])


def _short(value: Any) -> str:
    if isinstance(value, dict):
        if value.keys() == {"start", "end"}:
            return f"{value['start']} to {value['end']}"
        return ", ".join(f"{key}: {_short(inner)}" for key, inner in value.items())
    return "–" if value is None else value if isinstance(value, str) else json.dumps(value)


def _metrics(card: Card, span: str) -> dict[str, Any]:
    return card.metric(span).model_dump(mode="json")


def _figure(key: str, value: float | None) -> str:
    if value is None:
        return "–"
    if key in _SHARES:
        return f"{value:+.1%}"
    return f"{value:,}" if isinstance(value, int) else f"{value:.2f}"


def _best(name: str, decision: Decision) -> str:
    return "best" if name == decision.action else ""
