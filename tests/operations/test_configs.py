"""Every file under configs/ loads, checks, and would build an engine; and it says what it shows."""

from pathlib import Path

import pytest

from daemon.config.loader import check, load
from daemon.config.spec import complete, engine_spec
from engine.build import build

FOLDER = Path(__file__).parents[2] / "configs"
FILES = sorted(FOLDER.rglob("*.yaml"))


@pytest.fixture
def overrides(tmp_path: Path) -> dict[str, list[str]]:
    """What a file needs that the repository does not have: market data. Nothing of it is read here."""
    ticks = tmp_path / "ticks.parquet"
    ticks.touch()
    return {"ticks-to-minutes.yaml": [f"data.0.path={ticks}"]}


def test_the_configurations_that_were_promised_are_there() -> None:
    assert {f.name for f in FILES} >= {
        "one-asset-rule.yaml",
        "four-assets-three-accounts.yaml",
        "ticks-to-minutes.yaml",
    }


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.name)
def test_configuration_loads_checks_and_builds(
    file: Path, overrides: dict[str, list[str]], tmp_path: Path
) -> None:
    given = overrides.get(file.name, [])
    config = load(file, given).config
    assert config.name == file.stem
    assert check(file, given)
    build(engine_spec(config)[0])
    copy = tmp_path / "config.yaml"
    copy.write_text(complete(config))
    assert load(copy).config == config


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.name)
def test_configuration_begins_by_saying_what_it_shows_and_how_to_run_it(file: Path) -> None:
    comment = []
    for line in file.read_text().splitlines():
        if not line.startswith("#"):
            break
        comment.append(line.lstrip("# "))
    assert len(comment[0]) > 40
    assert f"papertape backtest configs/{file.relative_to(FOLDER)}" in "\n".join(comment)
