"""The base of all models, and types of numbers and lists that they share."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Model(BaseModel):
    """The base of all: frozen, without unknown keys, and without guesses (`cash: true` is no number)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _not_empty(entries: tuple[Any, ...]) -> tuple[Any, ...]:
    if not entries:
        raise ValueError("is empty; give at least one entry")
    return entries


# Lenient only in taking a list; what is in it is as strict as ever. Emptiness is looked at last, so that a list of
# wrong entries is not called empty too.
SOME = (Field(strict=False, json_schema_extra={"minItems": 1}), AfterValidator(_not_empty))
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(gt=0, le=1)]
Loss = Annotated[float, Field(gt=0, lt=1)]
Bps = Annotated[float, Field(ge=0, lt=10_000)]
