"""The card of a model: what it looks at and does, what it was trained on and how well, in JSON for people too.

`version` names the training: it is made from the weights and from what led to them, not from what was measured later.
`checksum` covers the whole card, so that a figure that was changed by hand is noticed.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, ValidationError
from pydantic import model_validator as validated

from engine.models import ACTIONS, Model, QTable
from strategies.errors import RegistryError

FILE_NAME = "card.json"
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
VERSION_LENGTH = 12
# what leads to the weights: the same of it and the same weights are the same model
IDENTITY = ("algorithm", "features", "actions", "timeframe_ns", "config_hash", "data_hash", "seed")


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="allow", frozen=True, allow_inf_nan=False, populate_by_name=True, serialize_by_alias=True
    )
    __pydantic_extra__: dict[str, JsonValue] = Field(init=False)


class Size(_Part):
    """How much a full position is: units of the instrument, or a fraction of equity; one of the two."""

    units: Annotated[float, Field(gt=0)] | None = None
    fraction: Annotated[float, Field(gt=0)] | None = None

    @validated(mode="after")
    def _one(self) -> Size:
        if (self.units is None) == (self.fraction is None):
            raise ValueError("must have either units or fraction")
        return self


class Actions(_Part):
    """What the model's outputs mean: one of sell, hold and buy (discrete), or a target exposure.

    short: sell means short, and targets reach from -1; else sell means flat, and they reach from 0. threshold: a target
    that differs less from the exposure sends no order, unless it is none at all.
    """

    kind: Literal["discrete", "target"]
    short: bool = False
    threshold: Annotated[float, Field(ge=0)] = 0.0
    size: Size


class Metrics(_Part):
    """What a model did over a span, net of costs; None where there is no such figure.

    return_ (in JSON: return) and buy_and_hold: over the whole span, 0.1 being 10 %. sharpe: of a year.
    """

    return_: float | None = Field(default=None, alias="return")
    sharpe: float | None = None
    fills: int | None = None
    buy_and_hold: float | None = None


class Card(_Part):
    """All that is known of a model besides its weights; further keys are kept as they are.

    version, files and checksum are filled in by the registry when it stores the model, promotion when it promotes it.
    timeframe_ns: how long the bars last on which it decides. spans: train, validation, test -> start and end (ISO). steps:
    taken in training. controls: `passed` and more. data_hash, config_hash, seed: None where it was not trained here.
    """

    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    version: str = ""
    created: AwareDatetime
    code_version: str
    algorithm: str
    features: Annotated[tuple[str, ...], Field(min_length=1)]
    timeframe_ns: Annotated[int, Field(gt=0)]
    instruments: tuple[str, ...] = ()
    actions: Actions
    reward: JsonValue = None
    config: dict[str, JsonValue] = {}
    config_hash: str | None = None
    data_hash: str | None = None
    seed: int | None = None
    spans: dict[str, JsonValue] = {}
    steps: Annotated[int, Field(ge=0)] | None = None
    metrics: dict[str, Metrics] = {}
    evaluation: dict[str, JsonValue] = {}
    controls: dict[str, JsonValue] | None = None
    deflated_sharpe: float | None = None
    promotion: dict[str, JsonValue] | None = None
    files: dict[str, str] = Field(default={}, description="File beside the card -> its BLAKE2b.")
    checksum: str = ""

    @property
    def ref(self) -> str:
        """Its name for `use: model:NAME`."""
        return f"{self.name}@{self.version}"

    def metric(self, span: str) -> Metrics:
        """What it did on a span; nothing but None where that is not known."""
        return self.metrics.get(span, Metrics())

    def to_json(self) -> dict[str, Any]:
        """As plain values that JSON has."""
        return self.model_dump(mode="json")

    def version_of(self, weights: bytes) -> str:
        """The version of a model with this card and these weights: 12 hex digits."""
        given = self.to_json()
        identity = {key: given[key] for key in IDENTITY}
        return digest(digest(weights).encode() + _canonical(identity))[:VERSION_LENGTH]

    def with_checksum(self) -> Card:
        """The card as it is written."""
        return self.model_copy(update={"checksum": self._checksum()})

    def is_whole(self) -> bool:
        """Whether nothing was changed since it was written."""
        return self.checksum == self._checksum()

    def _checksum(self) -> str:
        return digest(_canonical({k: v for k, v in self.to_json().items() if k != "checksum"}))


def check_model(card: Card, model: Model) -> None:
    """Raise RegistryError where a model has other inputs or outputs than its card says."""
    if model.n_inputs != len(card.features):
        raise RegistryError(
            f"{card.name}: the model looks at {model.n_inputs} features, its card names {len(card.features)}: "
            f"{', '.join(card.features)}; name them in the order of its inputs"
        )
    outputs = len(ACTIONS) if card.actions.kind == "discrete" else 1
    if model.n_outputs != outputs:
        raise RegistryError(
            f"{card.name}: the model has {model.n_outputs} outputs, {card.actions.kind} actions take {outputs}; "
            f"write the kind of actions that it was trained for"
        )
    if len(set(card.features)) != len(card.features):
        raise RegistryError(
            f"{card.name}: features: {_twice(card.features)} stands there twice; name each once"
        )
    if isinstance(model, QTable) and card.actions.kind != "discrete":
        raise RegistryError(f"{card.name}: a Q-table has discrete actions")


def make_card(**fields: Any) -> Card:
    """The card of these fields. Raises RegistryError, which names the first field that is wrong."""
    try:
        return Card(**fields)
    except ValidationError as error:
        raise RegistryError(f"card: {_first(error)}") from None


def read_card(path: Path) -> Card:
    """The card in a file. Raises RegistryError where it is none or is not what was written."""
    try:
        card = Card.model_validate_json(path.read_bytes())
    except OSError as error:
        raise RegistryError(f"{path}: cannot be read: {error.strerror}; {RESTORE}") from None
    except ValidationError as error:
        raise RegistryError(f"{path}: {_first(error)}; {RESTORE}") from None
    if not card.is_whole():
        raise RegistryError(f"{path}: the card was changed since it was written; {RESTORE}")
    return card


def card_bytes(card: Card) -> bytes:
    """The card as it is written into its file."""
    return (json.dumps(card.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def digest(data: bytes) -> str:
    """BLAKE2b of 16 bytes, in hex."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


RESTORE = "restore the model's folder from a copy, or train it again"


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}"


def _twice(names: tuple[str, ...]) -> str:
    return next(name for i, name in enumerate(names) if name in names[:i])
