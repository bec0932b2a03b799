"""Which version of a model is in use: a file of promotions and rollbacks that only grows.

A promotion puts a version on top of those before it, a rollback takes the topmost off; the topmost is in use.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from strategies.errors import RegistryError
from strategies.models.card import Card

FILE_NAME = "promotions.jsonl"


class Promotion(BaseModel):
    """That a version was promoted, or came back by a rollback.

    overridden: what spoke against it when it was promoted by force.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: AwareDatetime
    version: str
    how: Literal["promote", "rollback"]
    forced: bool = False
    overridden: tuple[str, ...] = ()

    @classmethod
    def now(cls, version: str, how: Literal["promote", "rollback"], against: tuple[str, ...]) -> Promotion:
        """The entry of this moment."""
        return cls(
            at=datetime.now(UTC), version=version, how=how, forced=bool(against), overridden=tuple(against)
        )

    def to_json(self) -> dict[str, Any]:
        """As plain values that JSON has."""
        return self.model_dump(mode="json")


def objections(card: Card, min_deflated_sharpe: float) -> tuple[str, ...]:
    """What speaks against promoting a model; nothing where all is well."""
    against = []
    controls = card.controls
    if controls is None:
        against.append("its controls were not run")
    elif controls.get("passed") is not True:
        against.append("its controls do not pass")
    sharpe = card.deflated_sharpe
    if sharpe is None:
        against.append("it has no deflated Sharpe ratio")
    elif not sharpe >= min_deflated_sharpe:
        against.append(f"its deflated Sharpe ratio is {sharpe:.3g}, below {min_deflated_sharpe:g}")
    return tuple(against)


def standing(entries: list[Promotion]) -> list[Promotion]:
    """The entries that were not rolled back, the one in use last."""
    stack: list[Promotion] = []
    for entry in entries:
        if entry.how == "rollback":
            stack.pop()
        elif stack and stack[-1].version == entry.version:  # it was in use already
            stack[-1] = entry
        else:
            stack.append(entry)
    return stack


def read(folder: Path) -> list[Promotion]:
    """The entries of a model, the oldest first; none where there is no file. Raises RegistryError at a line that is none."""
    path = folder / FILE_NAME
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []
    entries: list[Promotion] = []
    for number, line in enumerate(lines, 1):
        try:
            entry = Promotion.model_validate_json(line)
        except ValidationError as error:
            what = error.errors(include_url=False)[0]["msg"]
            raise RegistryError(f"{path}:{number}: no promotion ({what}); remove the line") from None
        if entry.how == "rollback" and len(standing(entries)) < 2:
            raise RegistryError(f"{path}:{number}: rolls back what was not promoted; remove the line")
        entries.append(entry)
    return entries


def append(folder: Path, entry: Promotion) -> None:
    """Write an entry behind the others, for good."""
    with (folder / FILE_NAME).open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry.to_json()) + "\n")
        file.flush()
        os.fsync(file.fileno())
