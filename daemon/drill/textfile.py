"""The outcome of drills as a file that node_exporter's textfile collector reads, so that an old success can alert.

The format is Prometheus' text exposition, version 0.0.4. One file can hold the drills of several configurations.
"""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

_NAMES = {
    "papertape_drill_last_success_timestamp_seconds": "When the drill last passed, in seconds since 1970; 0: never.",
    "papertape_drill_checks": "Checks that the last drill made.",
    "papertape_drill_failures": "Checks of the last drill that failed.",
}
_SAMPLE = re.compile(r'(\w+)\{config="((?:[^"\\]|\\.)*)"\} (\S+)')
_ESCAPES = {"\\": r"\\", '"': r"\"", "\n": r"\n"}
_MEANT = {escape: char for char, escape in _ESCAPES.items()}


class TextfileError(Exception):
    """The file holds something else than the outcomes of drills, or there cannot be one."""


@dataclass(frozen=True)
class Outcome:
    """What became of the last drill of a configuration."""

    last_success: float  # seconds since 1970; 0: never
    checks: int
    failures: int


def read_outcomes(path: Path) -> dict[str, Outcome]:
    """Outcomes by the name of the configuration; none where there is no file yet.

    Raises TextfileError where a line is none of ours, or no file can be there, and OSError.
    """
    if not path.parent.is_dir():
        raise TextfileError(
            f"{path}: there is no folder {path.parent}; make it, or name another file with --metrics"
        )
    if path.is_dir():
        raise TextfileError(f"{path}: is a folder; name a file in it with --metrics, such as drill.prom")
    if not path.exists():
        return {}
    found: dict[str, dict[str, float]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if not line or line.startswith("#"):
            continue
        sample = _SAMPLE.fullmatch(line)
        if sample is None or sample[1] not in _NAMES or not _is_number(sample[3]):
            raise TextfileError(
                f"{path}:{number}: is no outcome of a drill; name another file with --metrics, or remove this one"
            )
        found.setdefault(_unescaped(sample[2]), {})[sample[1]] = float(sample[3])
    return {
        config: Outcome(of.get(names[0], 0.0), int(of.get(names[1], 0)), int(of.get(names[2], 0)))
        for names in [tuple(_NAMES)]
        for config, of in found.items()
    }


def record(path: Path, config: str, checks: int, failures: int, now: float) -> None:
    """Put the outcome of a drill into the file, in one step; what it holds of other configurations stays.

    now: seconds since 1970. After a drill that failed the time of the last success is the one that stood there before.
    """
    outcomes = read_outcomes(path)
    before = outcomes.get(config, Outcome(0.0, 0, 0)).last_success
    outcomes[config] = Outcome(before if failures else now, checks, failures)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")  # the collector reads *.prom only
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(_text(outcomes))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _text(outcomes: dict[str, Outcome]) -> str:
    lines = []
    for k, (name, told) in enumerate(_NAMES.items()):
        lines += [f"# HELP {name} {told}", f"# TYPE {name} gauge"]
        for config, o in outcomes.items():
            value = (o.last_success, o.checks, o.failures)[k]
            lines.append(f'{name}{{config="{_escaped(config)}"}} {value!r}')
    return "\n".join(lines) + "\n"


def _escaped(label: str) -> str:
    return re.sub(r'[\\"\n]', lambda found: _ESCAPES[found[0]], label)


def _unescaped(label: str) -> str:
    return re.sub(r"\\.", lambda found: _MEANT.get(found[0], found[0]), label)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
