"""Synthetic tapes, written into the catalog or a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.catalog.entries import entry
from daemon.catalog.exporting import export
from daemon.catalog.manifest import Manifest, Provenance
from daemon.catalog.parts import to_batch
from daemon.catalog.store import Catalog
from daemon.config.synthetic import SyntheticData
from daemon.data.errors import DataError

if TYPE_CHECKING:
    from daemon.data.synthetic import Recipe


def recipe(given: Mapping[str, Any], sets: Sequence[str], **rules: Any) -> Recipe:
    """What a tape is made by; given: keys of `source: synthetic`, rules: the other fields of a Recipe.

    Raises ConfigError and DataError where it cannot be.
    """
    from daemon.data.synthetic import Recipe

    for name in ("tick_size", "lot_size"):
        if not 0 < rules[name] < float("inf"):
            raise DataError(f"--{name.replace('_', '-')}: {rules[name]:g} is no step; give a positive number")
    model = entry(SyntheticData, "generate", {"source": "synthetic", **given}, sets)
    return Recipe(model, **{**rules, "seed": rules["seed"] if model.seed is None else model.seed})


def to_catalog(made: Recipe, catalog: Catalog, replace: bool) -> Manifest:
    """Write the tape as a series. Raises DataError."""
    from daemon.data.synthetic import columns

    arguments: dict[str, Any] = made.given.model_dump(mode="json", exclude_none=True)
    for name in ("seed", "tick_size", "lot_size", "calendar"):
        arguments[name] = getattr(made, name)
    return catalog.write_blocks(
        made.given.instrument,
        made.given.bar,
        columns(made),
        source=Provenance(provider="synthetic", arguments=arguments),
        adjusted="raw",
        refused={},
        replace=replace,
        calendar=made.calendar,
    )


def to_file(made: Recipe, path: Path) -> int:
    """Write the tape to a new file, as `export` does; the number of rows. Raises DataError."""
    from daemon.data.synthetic import columns

    return export((to_batch(block, made.given.bar) for block in columns(made)), made.given.bar, path)
