import json
import re

import pytest

from strategies.errors import RegistryError
from strategies.models import Registry
from tests.unit.strategies.models.examples import card, table


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path)


def stored(registry, seed, **changes):
    return registry.store(table(), card(seed=seed, **changes))


@pytest.mark.parametrize(
    ("changes", "against"),
    [
        ({"controls": None}, ["its controls were not run"]),
        ({"controls": {"passed": False}}, ["its controls do not pass"]),
        ({"controls": {"passed": "yes"}}, ["its controls do not pass"]),
        ({"controls": {}}, ["its controls do not pass"]),
        ({"deflated_sharpe": None}, ["it has no deflated Sharpe ratio"]),
        ({"deflated_sharpe": 0.9499}, ["its deflated Sharpe ratio is 0.95, below 0.95"]),
        (
            {"deflated_sharpe": None, "controls": None},
            ["its controls were not run", "it has no deflated Sharpe ratio"],
        ),
    ],
)
def test_doubtful_model_is_promoted_by_force_only_and_the_card_says_so(registry, changes, against):
    ref = stored(registry, 1, **changes)
    with pytest.raises(
        RegistryError, match=f"{ref} is not promoted: {re.escape('; '.join(against))}; .*--force"
    ):
        registry.promote(ref)
    assert registry.promoted("rsi") is None
    entry = registry.promote(ref, force=True)
    assert (entry.forced, list(entry.overridden)) == (True, against)
    assert registry.load("rsi").card.promotion["overridden"] == against


def test_bar_of_the_deflated_sharpe_ratio_is_itself_enough(registry):
    ref = stored(registry, 1, deflated_sharpe=0.95)
    assert not registry.promote(ref).forced
    with pytest.raises(RegistryError, match=r"0\.95, below 0\.96"):
        registry.promote(ref, min_deflated_sharpe=0.96)


def test_force_without_need_is_no_forced_promotion(registry):
    assert not registry.promote(stored(registry, 1), force=True).forced
    assert registry.load("rsi").card.promotion["forced"] is False


def test_rollbacks_go_back_one_promotion_after_the_other(registry):
    a, b, c = (stored(registry, seed).partition("@")[2] for seed in (1, 2, 3))
    for version in (a, b, c):
        registry.promote(f"rsi@{version}")
    assert registry.rollback("rsi").version == b
    assert registry.rollback("rsi").version == a
    with pytest.raises(RegistryError, match=f"rsi@{a} is the first"):
        registry.rollback("rsi")
    registry.promote(f"rsi@{c}")
    registry.promote(f"rsi@{c}")  # it is in use: nothing to go back to between
    assert registry.promoted("rsi") == c
    assert registry.rollback("rsi").version == a
    told = [(entry.how, entry.version) for entry in registry.promotions("rsi")]
    forth = [("promote", v) for v in (a, b, c)]
    assert told == [*forth, ("rollback", b), ("rollback", a), ("promote", c), ("promote", c), ("rollback", a)]


def test_version_that_comes_back_is_as_forced_as_it_was(registry):
    a, b = stored(registry, 1, controls=None), stored(registry, 2)
    registry.promote(a, force=True)
    registry.promote(b)
    entry = registry.rollback("rsi")
    assert (entry.forced, entry.overridden) == (True, ("its controls were not run",))
    assert registry.load("rsi").card.promotion["how"] == "rollback"


def test_rollback_to_a_damaged_model_changes_nothing(registry):
    a, b = stored(registry, 1), stored(registry, 2)
    registry.promote(a)
    registry.promote(b)
    (registry.load(a).folder / "weights.safetensors").write_bytes(b"")
    with pytest.raises(RegistryError, match="was changed"):
        registry.rollback("rsi")
    assert registry.resolve("rsi") == b


@pytest.mark.parametrize(
    "line",
    [
        '{"at": "2026-01-01T00:00:00Z", "ver',
        "",
        '{"at": "2026-01-01T00:00:00", "version": "x", "how": "promote"}',
        '{"at": "2026-01-01T00:00:00Z", "version": "x", "how": "rollback"}',
    ],
)
def test_broken_record_is_refused_with_its_line(registry, line):
    registry.promote(stored(registry, 1))
    file = registry.folder / "rsi" / "promotions.jsonl"
    file.write_text(file.read_text() + line + "\n")
    with pytest.raises(RegistryError, match=r"promotions\.jsonl:2: .*remove the line"):
        registry.resolve("rsi")


def test_record_is_one_object_a_line(registry):
    registry.promote(stored(registry, 1))
    [line] = (registry.folder / "rsi" / "promotions.jsonl").read_text().splitlines()
    assert json.loads(line)["version"] == registry.promoted("rsi")
