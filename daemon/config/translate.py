"""What pydantic found wrong, in words that say what to do, at the line where it was written."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from daemon.config.checks import refuse
from daemon.config.document import Node
from daemon.config.errors import Problem
from daemon.config.types import show

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


def problems(error: ValidationError, root: Node, model: type[BaseModel]) -> list[Problem]:
    """Each error of the model's validation as a problem at its place in the tree."""
    return [_problem(details, root, model) for details in error.errors(include_url=False)]


def _problem(details: ErrorDetails, root: Node, model: type[BaseModel]) -> Problem:
    node = root
    keys: list[str] = []
    for part in details["loc"]:
        if part == "[key]":  # pydantic's mark that the key is meant, not its value
            continue
        if isinstance(node.value, dict):
            if part not in node.value and any(k in node.value and node.value[k].value == part for k in _TAGS):
                continue  # pydantic also names what it chose between kinds by
            node = node.value.get(str(part), node)
        elif isinstance(node.value, list) and isinstance(part, int):
            node = node.value[part]
        keys.append(str(part))
    if details["type"] == "union_tag_invalid":
        tag = _tag(details)
        node = node.value[tag]
        keys.append(tag)
    return Problem(node.place, ".".join(keys), message(details, model))


def validated(model: type[BaseModel], params: dict[str, Any], strict: bool | None = None) -> dict[str, Any]:
    """Parameters with all that the model says of them, as plain values.

    What is wrong is said here, in our words, where the model is known.
    """
    try:
        return model.model_validate(params, extra="forbid", strict=strict).model_dump(mode="json")
    except ValidationError as error:
        refuse((e["loc"], message(e, model)) for e in error.errors(include_url=False))
        raise


def message(details: ErrorDetails, model: type[BaseModel]) -> str:
    """What is wrong, and what to do; `model` is the one whose validation gave the error."""
    kind, given, context = details["type"], details["input"], details.get("ctx", {})
    if kind == "extra_forbidden":
        *around, key = details["loc"]
        return _elsewhere(str(key), model, around) or _unknown(str(key), given, _known_keys(model, around))
    if kind in _BOUNDS:
        sign, name = _BOUNDS[kind]
        return f"is {show(given)}; it must be {sign} {context[name]}"
    if kind in _TYPES:
        wanted = _TYPES[kind]
        return (
            f"is empty; write {wanted}, or remove it"
            if given is None
            else f"is {show(given)}; write {wanted}"
        )
    if kind in ("literal_error", "union_tag_invalid"):
        expected = context.get("expected") or context["expected_tags"]
        return f"is {show(given if kind == 'literal_error' else context['tag'])}; write one of {expected}"
    if kind in ("missing", "union_tag_not_found"):
        if details["loc"] == ("feed",) and kind == "missing":
            return _FEED
        return "is missing; add it" if kind == "missing" else _untagged(_tag(details), model, details["loc"])
    if kind == "value_error":
        return str(context["error"])
    return details["msg"]  # our own checks, and what a strategy's own model says


_BOUNDS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}
_TYPES = {
    "string_type": "text (in quotes, where it looks like something else)",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a number that is finite",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "keys and values, such as {key: value}",
    "model_type": "keys and values, such as {key: value}",
    "model_attributes_type": "keys and values, such as {key: value}",
    "tuple_type": "a list, such as [a, b]",
    "list_type": "a list, such as [a, b]",
    "path_type": "a path",
}


_FORMER = {  # key -> what says it now, and how
    "stop_drawdown": ("drawdown", "drawdown: {{limit: {}, action: halt}}"),
    "stop_daily_loss": ("daily_loss", "daily_loss: {{limit: {}, action: halt}}"),
    "on_stop": ("drawdown", "the action of each limit, such as drawdown: {{limit: 0.2, action: {}}}"),
}


def _unknown(key: str, given: Any, known: list[str]) -> str:
    if key in _FORMER and _FORMER[key][0] in known:
        return f"is no longer a key; write {_FORMER[key][1].format(given)}"
    near = get_close_matches(key, known, 1)
    if near:
        return f"unknown key; did you mean {near[0]!r}?"
    return (
        f"unknown key; there are {', '.join(known)}"
        if known
        else "unknown key; there are none here, remove it"
    )


# what tells kinds of an entry apart: data and feeds have a source, notifications a target
_TAGS = ("source", "target")


def _tag(details: ErrorDetails) -> str:
    return str(details["ctx"]["discriminator"]).strip("'")


def _untagged(tag: str, model: type[BaseModel], loc: tuple[str | int, ...]) -> str:
    here: Any = model
    for part in loc:
        here = _step(here, part)
    kinds = [kind for option in _models(here) for kind in get_args(option.model_fields[tag].annotation)]
    return f"names no {tag}; add {tag}: {', '.join(kinds[:-1])} or {kinds[-1]}"


_FEED = (
    "is missing, and without it this is a configuration for papertape backtest; write feed: {source: replay, speed: 60} "
    "and a start to play its data, or feed: {source: finnhub} for live prices"
)


def _elsewhere(key: str, model: type[BaseModel], around: Sequence[str | int]) -> str:
    """Where a key belongs that stands in the wrong place, or in the wrong kind of configuration; empty: nowhere."""
    from daemon.config.models import BacktestConfig
    from daemon.config.paper import PaperConfig

    sections = {name: _models(field.annotation) for name, field in model.model_fields.items()}
    if around:
        if sections.get(str(around[0])) and key in sections:
            return f"unknown key; it belongs to the top of the file, beside {around[0]}"
        return ""
    for name, options in sections.items():
        if any(key in option.model_fields for option in options):
            return f"unknown key; it belongs under {name}"
    if key in PaperConfig.model_fields.keys() - BacktestConfig.model_fields.keys():
        return "unknown key; it belongs to a configuration for papertape run, which has a feed; remove it"
    return ""


def _known_keys(model: type[BaseModel], loc: Sequence[str | int]) -> list[str]:
    """The keys that may stand at a place: found along the models' annotations, which loc leads through."""
    here: Any = model
    for part in loc:
        here = _step(here, part)
    return [field.alias or key for option in _models(here) for key, field in option.model_fields.items()]


def _step(annotation: Any, part: str | int) -> Any:
    for option in _models(annotation):
        if part in option.model_fields:
            return option.model_fields[str(part)].annotation
        if any(
            t in option.model_fields and get_args(option.model_fields[t].annotation) == (part,) for t in _TAGS
        ):
            return option
    for option in _options(annotation):
        if get_origin(option) in (dict, tuple):
            return get_args(option)[1 if get_origin(option) is dict else 0]
    return None


def _models(annotation: Any) -> list[type[BaseModel]]:
    return [o for o in _options(annotation) if isinstance(o, type) and issubclass(o, BaseModel)]


def _options(annotation: Any) -> list[Any]:
    """What the annotation allows, out of `Annotated[...]` and unions."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _options(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return [option for part in get_args(annotation) for option in _options(part)]
    return [annotation]
