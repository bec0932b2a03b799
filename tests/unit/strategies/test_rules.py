"""The shipped rules: their parameters, and what they give the engine."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from engine.features import parse_feature
from engine.policies import Policy
from strategies.rules import RULES


def test_each_compiled_policy_has_its_rule() -> None:
    others = {Policy.PYTHON, Policy.Q_TABLE, Policy.NETWORK}
    assert {rule.policy for rule in RULES.values()} == set(Policy) - others
    assert all(name == rule.name and rule.doc for name, rule in RULES.items())


@pytest.mark.parametrize(
    ("rule", "params", "features", "numbers"),
    [
        ("buy_and_hold", {}, (), ()),
        ("sma_cross", {"fast": 5, "slow": 8}, ("sma_5", "sma_8"), ()),
        ("sma_cross", {}, ("sma_10", "sma_30"), ()),
        ("momentum", {"lookback": 7, "threshold": 0.02}, ("return_7",), (0.02,)),
        ("rsi_reversion", {"window": 9, "oversold": 20, "overbought": 60}, ("rsi_9",), (20.0, 60.0)),
    ],
)
def test_rule_gives_the_policy_its_observation_and_numbers(
    rule: str, params: dict[str, float], features: tuple[str, ...], numbers: tuple[float, ...]
) -> None:
    valid = RULES[rule].Params.model_validate(params)
    assert RULES[rule].features(valid) == features
    assert RULES[rule].policy_params(valid) == numbers
    assert all(parse_feature(name) for name in features)


@pytest.mark.parametrize(
    ("rule", "params", "field", "message"),
    [
        (
            "sma_cross",
            {"fast": 30, "slow": 30},
            "slow",
            "must be longer than the fast one, which has 30 bars",
        ),
        ("sma_cross", {"fast": 50}, "slow", "must be longer than the fast one, which has 50 bars"),
        ("sma_cross", {"slow": 5}, "slow", "must be longer than the fast one, which has 10 bars"),
        ("sma_cross", {"fast": 0}, "fast", "greater than or equal to 1"),
        ("sma_cross", {"fast": 2.5}, "fast", "valid integer"),
        ("sma_cross", {"fsat": 5}, "fsat", "Extra inputs"),
        ("sma_cross", {"slow": 1_000_000}, "slow", "less than or equal to 100000"),
        ("buy_and_hold", {"size": 1}, "size", "Extra inputs"),
        ("momentum", {"threshold": -0.1}, "threshold", "greater than or equal to 0"),
        ("momentum", {"threshold": float("nan")}, "threshold", "finite number"),
        ("momentum", {"lookback": 0}, "lookback", "greater than or equal to 1"),
        ("rsi_reversion", {"oversold": 0}, "oversold", "greater than 0"),
        ("rsi_reversion", {"overbought": 101}, "overbought", "less than or equal to 100"),
        ("rsi_reversion", {"oversold": 80}, "overbought", "must be above oversold, which is 80"),
    ],
)
def test_bad_parameters_are_refused_at_the_field_to_change(
    rule: str, params: dict[str, float], field: str, message: str
) -> None:
    with pytest.raises(ValidationError, match=message) as caught:
        RULES[rule].Params.model_validate(params)
    assert [e["loc"] for e in caught.value.errors()] == [(field,)]
