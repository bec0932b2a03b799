import re

import numpy as np
import pytest

from strategies.errors import RegistryError
from strategies.models.deciding import decide, observation
from strategies.models.fits import check_fits, lasting
from tests.unit.strategies.models.examples import card, network, table, target_card

DAY = 86_400 * 10**9


def test_what_the_model_learned_on_fits():
    check_fits(card(), ["rsi_14", "exposure"], DAY)
    check_fits(card(), ("rsi_14", "exposure"))


@pytest.mark.parametrize(
    ("features", "timeframe_ns", "what"),
    [
        (["rsi_14"], DAY, "it needs exposure;"),
        (["rsi_14", "exposure", "close"], DAY, "it does not know close;"),
        (["rsi_21", "exposure"], DAY, "it needs rsi_14; it does not know rsi_21;"),
        (["exposure", "rsi_14"], DAY, "in the order rsi_14, exposure, not exposure, rsi_14;"),
        (["rsi_14", "exposure"], DAY // 24, "it decides on bars of 1d, not 1h;"),
        (
            ["rsi_14", "rsi_14", "exposure"],
            DAY,
            "in the order rsi_14, exposure, not rsi_14, rsi_14, exposure",
        ),
        (["rsi_14"], 90 * 60 * 10**9, "it needs exposure; it decides on bars of 1d, not 90m;"),
    ],
)
def test_what_differs_from_the_training_is_refused_and_told(features, timeframe_ns, what):
    with pytest.raises(RegistryError, match=re.escape(what)):
        check_fits(card(), features, timeframe_ns)


def test_durations_are_written_in_their_largest_unit():
    assert [lasting(ns) for ns in (2 * DAY, 10**9, 250 * 10**6)] == ["2d", "1s", "250ms"]


def test_best_action_is_the_first_of_the_largest_values():
    # RSI 30 is in bin 1 (an edge belongs to the bin above it), exposure 0 in bin 0: row 2 is 5, 1, 2
    decided = decide(table(), card().actions, observation(card(), {"exposure": 0.0, "rsi_14": 30.0}))
    assert (decided.action, decided.exposure) == ("sell", None)
    assert decided.values == {"sell": 5, "hold": 1, "buy": 2}
    # RSI 29.9 and exposure 0.5: row 1, all equal
    assert decide(table(), card().actions, np.array([[29.9, 0.5]])).action == "sell"


@pytest.mark.parametrize(
    ("x0", "short", "size", "exposure"),
    [
        (1.0, False, {"fraction": 0.5}, 0.125),  # the output is 0.25
        (9.0, False, {"fraction": 0.5}, 0.5),  # 16.25, at most 1
        (-9.0, False, {"fraction": 0.5}, 0.0),  # -19.75, at least 0
        (-9.0, True, {"fraction": 0.5}, -0.5),
        (1.0, True, {"units": 200}, 50.0),
    ],
)
def test_target_is_kept_within_its_bounds_and_times_the_size(x0, short, size, exposure):
    asked = target_card(actions={"kind": "target", "short": short, "size": size})
    decided = decide(network(), asked.actions, np.array([[x0, 3.0]]))
    assert decided.action is None
    assert decided.exposure == exposure
    assert decided.values["exposure"] == 2 * (x0 - 1) + 0.25


@pytest.mark.parametrize(
    ("state", "what"),
    [
        ({"rsi_14": 1.0}, "also needs exposure"),
        ({"rsi": 1.0, "exposure": 0.0}, "does not look at 'rsi'; did you mean rsi_14"),
        ({"zebra": 1.0}, "there are rsi_14, exposure"),
        ({"rsi_14": float("nan"), "exposure": 0.0}, "rsi_14 is nan; give a finite number"),
    ],
)
def test_state_with_missing_unknown_or_no_numbers_is_refused(state, what):
    with pytest.raises(RegistryError, match=what):
        observation(card(), state)
