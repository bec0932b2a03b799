"""Lines and tables on risk as a person reads them, from figures made by hand."""

from typing import Any

import pytest

from daemon.risk.running import best
from daemon.risk.showing import print_graded, risk_lines

DAY = 86_400 * 10**9


def grade(**given: Any) -> dict[str, Any]:
    return {
        "n": 2012,
        "exceedances": 27,
        "expected": 20.12,
        "kupiec": {"lr": 2.1, "p": 0.143},
        "independence": None,
        "conditional_coverage": {"lr": 20.0, "p": 0.00004},
        "traffic_light": {"zone": "yellow", "probability": 0.95, "plus": None},
        "shortfall": {"z2": -0.312, "p": 0.2},
        "tick_loss": 0.000342,
        "fissler_ziegel": -2.83149,
        "without_tail": 0,
        "skipped": 0,
        "standing": "accepted",
        "verdict": "accepted at 5 %: 27 exceedances in 2012 outcomes",
        **given,
    }


def figures(**given: Any) -> dict[str, Any]:
    parts = [
        {"instrument": "AAPL", "value_micros": 5e11, "var_micros": 2e10, "cvar_micros": 3e10},
        {"instrument": "KO", "value_micros": -1e11, "var_micros": -4e9, "cvar_micros": -5e9},
    ]
    now = {
        "equity_micros": 10**12,
        "var_micros": 1.6e10,
        "var": 0.016,
        "cvar_micros": 2.5e10,
        "cvar": 0.025,
        "stressed_var_micros": 8e10,
        "stressed_var": 0.08,
        "code": None,
        "parts": parts,
    }
    return {
        "method": "historical",
        "confidence": 0.975,
        "horizon": 10,
        "period_ns": DAY,
        "outcomes": 250,
        "now": now,
        "model_rejected": False,
        "grades": {"historical": grade()},
        "warnings": {},
        "breaches": {},
        "halts": {},
        "strategies": {},
        "denied": {},
        "cut": {},
        "rejections": 0,
        "halted": [],
        "currency": "USD",
        "units_per_currency": 1_000_000,
        "best": {"tick_loss": None, "fissler_ziegel": None},
        "ungraded": None,
        **given,
    }


def test_line_tells_measures_method_and_verdict() -> None:
    (line,) = risk_lines(figures())
    assert line == (
        "at the end VaR 1.60%, CVaR 2.50%, stressed VaR 8.00% of equity (historical, 97.5%, 10d); "
        "forecasts accepted at 5 %: 27 exceedances in 2012 outcomes"
    )


def test_line_tells_what_limits_did_in_numbers_that_read() -> None:
    (_, line) = risk_lines(
        figures(
            warnings={"VAR": 3},
            breaches={"VAR": 1, "DRAWDOWN": 2},
            halts={"DRAWDOWN": 1},
            denied={"VAR": 1200, "HISTORY": 1},
            cut={"VAR": 1},
            strategies={"tech": {"warnings": {"VAR": 2}, "breaches": {}, "halts": {}}},
        )
    )
    assert line == (
        "limits on risk: VAR 3 warnings, 1 breach, 1,200 orders denied, 1 order cut; DRAWDOWN 2 breaches, 1 halt; "
        "HISTORY 1 order denied; tech's VAR 2 warnings"
    )


def test_account_without_forecasts_has_a_line_only_where_a_limit_did_something() -> None:
    nothing: dict[str, Any] = {
        "method": None,
        "confidence": None,
        "now": None,
        "model_rejected": None,
        "grades": {},
    }
    assert list(risk_lines(figures(**nothing))) == []
    halted = figures(**nothing, breaches={"DRAWDOWN": 1}, halts={"DRAWDOWN": 1})
    assert list(risk_lines(halted)) == ["limits on risk: DRAWDOWN 1 breach, 1 halt"]


def test_what_stands_still_at_the_end_has_a_line_of_its_own() -> None:
    halted = [
        {"strategy": None, "state": "REDUCE_ONLY", "code": "OPERATOR", "since": "2008-11-17T23:59:59.5Z"},
        {"strategy": "tech", "state": "HALTED", "code": "DRAWDOWN", "since": "2009-01-02T00:00:00Z"},
    ]
    *_, line = risk_lines(figures(halted=halted))
    assert line == (
        "at the end REDUCE-ONLY since 2008-11-17, by OPERATOR; tech is HALTED since 2009-01-02, by DRAWDOWN"
    )


def test_line_tells_why_nothing_could_be_measured() -> None:
    now = {
        **figures()["now"],
        "code": "HISTORY",
        "var": None,
        "cvar": None,
        "stressed_var": None,
        "parts": [],
    }
    (line,) = risk_lines(figures(now=now, grades={}))
    assert (
        line == "at the end VaR cannot be computed, HISTORY: something that it holds has too few returns "
        "(historical, 97.5%, 10d)"
    )


def test_line_of_a_model_that_the_last_outcomes_reject_says_so() -> None:
    few = grade(standing="too few", verdict="too few outcomes for a verdict")
    (line,) = risk_lines(figures(grades={"historical": few}, model_rejected=True))
    assert line.endswith("(historical, 97.5%, 10d); too few outcomes for a verdict; the last 250 reject them")


def shown(capsys: pytest.CaptureFixture[str], **accounts: dict[str, Any]) -> list[str]:
    print_graded({"name": "x", "rows": 8, "accounts": accounts})
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 120
    return [line.rstrip() for line in lines]


def row(lines: list[str], name: str) -> list[str]:
    (found,) = (line.split() for line in lines if line.split()[:1] == [name])
    return found


def test_methods_stand_side_by_side_with_the_best_marked(capsys: pytest.CaptureFixture[str]) -> None:
    worse = grade(
        standing="too cautious", exceedances=2, traffic_light=None, shortfall=None, fissler_ziegel=None
    )
    of = figures(
        grades={"historical": grade(), "cornish_fisher": worse, "monte_carlo": grade(standing="rejected")},
        best={"tick_loss": "cornish_fisher", "fissler_ziegel": "historical"},
    )
    lines = shown(capsys, sma=of)
    assert "sma: what it may lose in 1d at 97.5%, by each method" in lines
    assert " ".join(row(lines, "historical")) == (
        "historical accepted 27 20.1 2,012 0.143 – <0.001 yellow -0.31 0.200 3.42 *-2.831"
    )
    assert " ".join(row(lines, "cornish_fisher")) == (
        "cornish_fisher too cautious 2 20.1 2,012 0.143 – <0.001 – – – *3.42 –"
    )
    assert row(lines, "monte_carlo")[1] == "rejected"
    assert any(line.startswith("beyond: ") for line in lines)


def test_positions_have_their_parts_which_add_up(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, sma=figures())
    assert "at the end, by historical: VaR 1.60%, CVaR 2.50%, stressed VaR 8.00% of equity" in lines
    # 20,000 - 4,000 = 16,000 of VaR; 30,000 - 5,000 = 25,000 of CVaR
    assert " ".join(row(lines, "AAPL")) == "AAPL 500,000.00 USD 20,000.00 125.0% 30,000.00 120.0%"
    assert " ".join(row(lines, "KO")) == "KO -100,000.00 USD -4,000.00 -25.0% -5,000.00 -20.0%"


def test_of_many_positions_those_with_the_largest_parts_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    parts = [
        {"instrument": f"I{k}", "value_micros": 1e9, "var_micros": (-1) ** k * k * 1e9, "cvar_micros": 1e9}
        for k in range(25)
    ]
    of = figures()
    of["now"] |= {"parts": parts, "var_micros": 1e10}
    lines = shown(capsys, sma=of)
    assert row(lines, "I24")
    assert row(lines, "I5")
    assert not any(line.split()[:1] == ["I4"] for line in lines)
    assert "5 more; --json has all" in lines


def test_account_that_nothing_was_graded_for_says_why_and_has_no_table(
    capsys: pytest.CaptureFixture[str],
) -> None:
    of = figures(grades={}, ungraded="it never held anything, so there was nothing to lose")
    of["now"] |= {"parts": []}
    lines = shown(capsys, sma=of)
    assert "nothing was graded: it never held anything, so there was nothing to lose" in lines
    assert "at the end it holds nothing" in lines
    assert not any("Kupiec" in line for line in lines)


def test_too_few_outcomes_say_how_many_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    said = "too few outcomes for a verdict, it takes 192"
    few = grade(standing="too few", verdict=f"{said}: 1 exceedance in 60 outcomes, 0.6 expected")
    lines = shown(capsys, sma=figures(grades={"ewma": few, "gaussian": few}))
    assert lines.count(said) == 1


def test_names_in_brackets_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    of = figures()
    of["now"]["parts"][0]["instrument"] = "[red]X"
    assert row(shown(capsys, **{"[bold]a": of}), "[red]X")


def test_best_is_of_methods_that_met_the_same_outcomes() -> None:
    grades = {
        "gaussian": grade(tick_loss=3.0, fissler_ziegel=-1.0),
        "ewma": grade(tick_loss=2.0, fissler_ziegel=-3.0, without_tail=5),
        "monte_carlo": grade(n=100, tick_loss=1.0, fissler_ziegel=-9.0),
        "filtered": grade(tick_loss=2.5, fissler_ziegel=-2.0),
    }
    # five periods are missing in the second, most in the third
    assert best(grades) == {"tick_loss": "ewma", "fissler_ziegel": "filtered"}
    assert best({"ewma": grade()}) == {"tick_loss": None, "fissler_ziegel": None}
    assert best({}) == {"tick_loss": None, "fissler_ziegel": None}
