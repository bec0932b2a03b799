"""What a trader should read first about a trained model: one sentence of its test span, and what speaks against it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def verdict(found: Mapping[str, Any], min_deflated_sharpe: float = 0.95) -> str:
    """The judgement of an evaluation, as `evaluate` gives it without this, in plain words.

    It is better than buying and holding only where the whole interval of the difference is above 0. What follows are the
    objections that the figures raise; where there are none, nothing follows.
    """
    return " ".join((_comparison(found), *_objections(found, min_deflated_sharpe)))


def _comparison(found: Mapping[str, Any]) -> str:
    test = found["test"]
    own, held = test["return"], test["buy_and_hold"]
    if own is None or held is None:
        return "On the test span a return is not defined: nothing can be said for it."
    if test["fills"] == 0:
        return f"On the test span it never traded; buying and holding earned {share(held)}."
    said = (
        f"On the test span it earned {share(own)}{_sharpe(test)}, buying and holding {share(held)}"
        + _sharpe(test["baselines"]["buy_and_hold"])
    )
    bounds = (test["intervals"] or {}).get("return_less_buy_and_hold", {})
    low, high = bounds.get("low"), bounds.get("high")
    told = (
        f" ({percent(found['confidence'])} interval of the difference: {signed(low)} to {signed(high)})"
        if low is not None and high is not None
        else ""
    )
    if own <= held:
        return f"{said}: no better than buying and holding{told}."
    if low is None:
        return f"{said}: more than buying and holding, but nobody knows whether by more than chance."
    if low <= 0.0:
        return f"{said}: more than buying and holding, but not by more than chance may do{told}."
    if _riskier(test):
        return f"{said}: more than buying and holding, by taking more risk{told}."
    return f"{said}: better than buying and holding{told}."


def _objections(found: Mapping[str, Any], bar: float) -> Iterator[str]:
    test = found["test"]
    own = test["return"]
    if own is None or test["fills"] == 0:
        return
    if own <= 0.0:
        yield "It lost money." if own < 0.0 else "It earned nothing."
    chance = test["baselines"]["random"]["return"]
    if chance and own <= chance["high"]:
        yield (
            f"Of agents that toss a coin nine in ten earned {share(chance['low'])} to {share(chance['high'])}: "
            "it is no better than those."
        )
    if own > (test["buy_and_hold"] or 0.0) and _riskier(test):
        yield "Its Sharpe ratio is no better than that of buying and holding: it earned more by risking more, as borrowing does."
    if own > 0.0:
        for what, figures in (("twice the costs", test["costs"]["x2"]), ("orders a bar late", test["delay"])):
            if figures["return"] is None or figures["return"] <= 0.0:
                yield f"With {what} nothing of it is left ({share(figures['return'])})."
    deflated, trials = found["deflated_sharpe"], found["trials"]
    if deflated is not None and deflated < bar:
        models = "one trial" if trials == 1 else f"{trials} trials"
        yield (
            f"After {models} its Sharpe ratio is more than luck with a probability of {percent(deflated)}; "
            f"{percent(bar)} are asked."
        )
    if found["pbo"] is not None and found["pbo"] >= 0.5:
        yield f"The probability of overfitting is {percent(found['pbo'])}: what was chosen did no better than the others after."


def _riskier(test: Mapping[str, Any]) -> bool:
    """Whether the return came with no better a Sharpe ratio than that of buying and holding."""
    own, held = test["sharpe"], test["baselines"]["buy_and_hold"]["sharpe"]
    return own is not None and held is not None and own <= held


def percent(value: float) -> str:
    """A probability for people: 0.95 is "95 %"."""
    return f"{100.0 * value:.0f} %"


def share(value: float | None) -> str:
    """A return for people: 0.031 is "3.1 %"."""
    return "nothing that can be said" if value is None else f"{_rounded(value):.1f} %"


def signed(value: float) -> str:
    """A difference of returns for people: 0.031 is "+3.1 %"."""
    return f"{_rounded(value):+.1f} %"


def _rounded(value: float) -> float:
    return round(100.0 * value, 1) + 0.0  # no "-0.0"


def _sharpe(figures: Mapping[str, Any]) -> str:
    return "" if figures["sharpe"] is None else f" (Sharpe {figures['sharpe']:.2f})"
