"""What decides besides the tape: its hash changes with configuration, models and code, and with nothing else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.config.errors import ConfigError
from daemon.config.paper import load_paper
from daemon.live.content import Content, hash_of, source_hash, strategies
from strategies.models import Registry
from tests.service.taped import config_of
from tests.trained import store_model

SOURCE = """
from strategies import Strategy


class Quiet(Strategy):
    pass


class Other(Strategy):
    pass
"""
FEATURES = ("return_1",)


@pytest.fixture(autouse=True)
def modules() -> Iterator[None]:
    """A module of the same name in another folder is another one."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if "quiet" in name:
            del sys.modules[name]


def forget() -> None:
    for name in [n for n in sys.modules if "quiet" in n]:
        del sys.modules[name]


def content_of(folder: Path, **given: Any) -> Content:
    (folder / "quiet.py").touch()
    return Content.of(load_paper(config_of(**given)).config)


def strategy(use: str, **given: Any) -> dict[str, Any]:
    return {"use": use, "name": "s", "instruments": ["A"], "timeframe": "1m"} | given


def python(folder: Path, use: str = "quiet:Quiet", **given: Any) -> Content:
    forget()
    return content_of(folder, strategies=[strategy(use)], strategy_folder=str(folder), **given)


def trained(folder: Path, use: str, **given: Any) -> Content:
    given = {"feed": {"source": "finnhub"}} | given
    used = {"use": use, "name": "s", "instruments": ["A"]}
    return content_of(folder, strategies=[used], models=str(folder / "models"), **given)


def make(folder: Path, name: str = "goer", units: int = 5) -> str:
    actions = {"kind": "discrete", "size": {"units": units}}
    return store_model(folder / "models", name, FEATURES, actions, timeframe_ns=60 * 10**9)


def test_rule_of_ours_needs_neither_model_nor_code(tmp_path: Path) -> None:
    content = content_of(tmp_path)
    assert content.models == {}
    assert content.code == {}
    assert content.described() == {"hash": content.hash, "models": {}, "code": {}}


def test_same_configuration_has_the_same_hash_however_it_is_written(tmp_path: Path) -> None:
    given = config_of()
    one = Content.of(load_paper(given).config)
    two = Content.of(load_paper(dict(reversed(given.items())) | {"seed": 0, "notify": []}).config)
    assert one.hash == two.hash
    assert one.hash != Content.of(load_paper(given | {"seed": 1}).config).hash


def test_promoted_model_is_named_by_its_version_and_another_promotion_is_another_content(
    tmp_path: Path,
) -> None:
    first, second = make(tmp_path), make(tmp_path, units=6)
    registry = Registry(tmp_path / "models")
    registry.promote(first, force=True)
    before = trained(tmp_path, "model:goer")
    assert [s.use for _, s in strategies(before.config)] == [f"model:{first}"]
    assert before.models["desk/s"].startswith(f"{first}:")
    assert f"model:{first}" in before.text
    registry.promote(second, force=True)
    after = trained(tmp_path, "model:goer")
    assert after.models["desk/s"].startswith(f"{second}:")
    assert after.hash != before.hash
    registry.promote(first, force=True)
    assert trained(tmp_path, "model:goer").hash == before.hash


def test_model_named_by_version_is_not_moved_by_a_promotion(tmp_path: Path) -> None:
    first, second = make(tmp_path), make(tmp_path, units=6)
    before = trained(tmp_path, f"model:{first}")
    Registry(tmp_path / "models").promote(second, force=True)
    assert trained(tmp_path, f"model:{first}").hash == before.hash


def test_code_of_a_strategy_is_its_modules_file(tmp_path: Path) -> None:
    (tmp_path / "quiet.py").write_text(SOURCE)
    before = python(tmp_path)
    assert set(before.code) == {"desk/s"}
    assert python(tmp_path).hash == before.hash
    (tmp_path / "beside.py").write_text("x = 1\n")
    assert python(tmp_path).hash == before.hash
    (tmp_path / "quiet.py").write_text(SOURCE + "# a word\n")
    after = python(tmp_path)
    assert after.code != before.code
    assert after.hash != before.hash


def test_classes_of_one_file_share_its_hash(tmp_path: Path) -> None:
    (tmp_path / "quiet.py").write_text(SOURCE)
    assert source_hash("quiet:Quiet", tmp_path) == source_hash("quiet:Other", tmp_path)
    one, other = python(tmp_path), python(tmp_path, "quiet:Other")
    assert one.code == other.code
    assert one.hash != other.hash


def test_stored_content_has_the_hash_that_it_had_whatever_became_of_code_and_models(tmp_path: Path) -> None:
    (tmp_path / "quiet.py").write_text(SOURCE)
    before = python(tmp_path)
    (tmp_path / "quiet.py").write_text(SOURCE + "# a word\n")
    forget()
    stored = Content.stored(before.text, before.models, before.code)
    assert stored.hash == before.hash
    assert stored.config == before.config
    assert python(tmp_path).hash != before.hash


def test_stored_configuration_that_cannot_be_read_any_more_says_so(tmp_path: Path) -> None:
    content = content_of(tmp_path)
    with pytest.raises(ConfigError, match="slices"):
        Content.stored(content.text + "\nslices: 3\n", {}, {})


def test_text_written_out_and_read_again_is_the_same(tmp_path: Path) -> None:
    content = content_of(tmp_path, seed=5, session="other", journal={"snapshot_every": "10s"})
    assert Content.of(Content.stored(content.text, {}, {}).config).text == content.text


def test_strategies_are_named_by_account_and_name_in_the_engines_order() -> None:
    given = config_of()
    used = [
        strategy("buy_and_hold", name="x", size={"units": 1}),
        strategy("buy_and_hold", name="b", size={"units": 1}),
    ]
    given["accounts"] = [
        {"name": "second", "cash": 1000, "strategies": used},
        {"name": "first", "cash": 1000, "strategies": used[:1]},
    ]
    assert [name for name, _ in strategies(load_paper(given).config)] == ["second/x", "second/b", "first/x"]


def test_hash_is_of_the_text() -> None:
    # b2sum -l 128 of "papertape"
    import hashlib

    assert hash_of("papertape") == hashlib.blake2b(b"papertape", digest_size=16).hexdigest()
    assert hash_of("a") != hash_of("b")
