"""What a command is told, judged by the models of a configuration's `data:`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from daemon.config import overrides, translate
from daemon.config.document import from_python, plain
from daemon.config.errors import ConfigError, Place

if TYPE_CHECKING:
    from daemon.config.sources import CsvData, ParquetData
    from daemon.data.feed import Source

_M = TypeVar("_M", bound=BaseModel)


def entry(model: type[_M], command: str, given: Mapping[str, Any], sets: Sequence[str] = ()) -> _M:
    """The model of these keys; None stands for what was not said. `sets`: as of `--set`. Raises ConfigError."""
    root = from_python({k: v for k, v in given.items() if v is not None}, Place(command, 0, Path.cwd()))
    root, found = overrides.apply(root, sets)
    try:
        made = model.model_validate(plain(root))
    except ValidationError as error:
        raise ConfigError([*found, *translate.problems(error, root, model)]) from error
    if found:
        raise ConfigError(found)
    return made


def file_entry(command: str, path: Path, given: Mapping[str, Any]) -> CsvData | ParquetData:
    """The entry of a file of market data, or a folder of Parquet files: which kind it is, its name says."""
    from daemon.config.sources import CsvData, ParquetData

    if path.suffix == ".parquet" or path.is_dir():
        return entry(ParquetData, command, {"source": "parquet", "path": path, **given})
    return entry(CsvData, command, {"source": "csv", "path": path, **given})


def source_of(given: CsvData | ParquetData) -> Source:
    """What the reader is told of a file, for an instrument on its own."""
    from daemon.data.feed import Source

    keys = given.model_dump(exclude={"source", "instrument", "bar", "actions", "adjusted", "hours"})
    skip = keys.pop("on_bad_row") == "skip"
    return Source(given.source, keys.pop("path"), 0, given.instrument, given.bar, skip_bad_rows=skip, **keys)
