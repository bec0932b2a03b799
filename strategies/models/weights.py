"""The numbers of a model as a file of named arrays, safetensors: it holds numbers and cannot hold code.

A Q-table is `q` and, for each feature i, `edges.i`. A network is `mean`, `scale`, `clip`, and for each layer i
`weights.i` (n_out, n_in) and `biases.i`. What kind of model it is stands in the file's metadata as `model`.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from engine.models import Array, Model, ModelError, Network, QTable
from strategies.errors import RegistryError

FILE_NAME = "weights.safetensors"
Q_TABLE = "q_table"


def named_arrays(model: Model) -> dict[str, Array]:
    """The arrays of a model under the names that they have in files, all float64."""
    if isinstance(model, QTable):
        return {"q": model.q, **{f"edges.{i}": edges for i, edges in enumerate(model.edges)}}
    layers = enumerate(zip(model.weights, model.biases, strict=True))
    arrays = {name: part for i, (w, b) in layers for name, part in ((f"weights.{i}", w), (f"biases.{i}", b))}
    return {"mean": model.mean, "scale": model.scale, "clip": np.array([model.clip]), **arrays}


def kind_of(model: Model) -> str:
    """q_table, or a network with its activation: network_tanh, network_relu."""
    return Q_TABLE if isinstance(model, QTable) else f"network_{model.activation}"


def to_bytes(model: Model) -> bytes:
    """The model as a safetensors file; the same model gives the same bytes."""
    from safetensors.numpy import save

    arrays = {name: np.ascontiguousarray(array) for name, array in named_arrays(model).items()}
    return bytes(save(arrays, {"model": kind_of(model)}))  # one entry: the order of several is not fixed


def from_bytes(data: bytes, place: str) -> Model:
    """The model in a safetensors file. Raises RegistryError, which begins with `place`, where there is none."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(data)
        kind = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]["model"]
        return _made(kind, arrays)
    except (SafetensorError, ModelError, KeyError, ValueError, TypeError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise RegistryError(f"{place}: holds no model: {what}") from None


def _made(kind: str, arrays: dict[str, Any]) -> Model:
    given = dict(arrays)
    model: Model
    if kind == Q_TABLE:
        model = QTable(_numbered(given, "edges"), given.pop("q"))
    else:
        mean, scale, clip = given.pop("mean"), given.pop("scale"), float(given.pop("clip")[0])
        weights, biases = _numbered(given, "weights"), _numbered(given, "biases")
        model = Network(mean, scale, clip, weights, biases, kind.removeprefix("network_"))
    if given:
        raise ValueError(f"{', '.join(sorted(given))}: no part of a {kind}")
    return model


def _numbered(arrays: dict[str, Any], name: str) -> tuple[Array, ...]:
    # takes name.0, name.1, ... out
    found: list[Array] = []
    while f"{name}.{len(found)}" in arrays:
        found.append(arrays.pop(f"{name}.{len(found)}"))
    return tuple(found)
