"""Limits on VaR, CVaR and stressed VaR: which orders pass, and how large.

Unless a story says otherwise: 10,000 in cash, a price of 100, eight days of returns of which the third worst is -4 %
and the two worst are 7 % on average. At 75 % two of eight lie beyond the VaR: 100 lots, worth 10,000, have a VaR of
400 and a CVaR of 700.
"""

from __future__ import annotations

import math

import pytest

from engine.records import DAY, Code, LimitAction, Method, Side, Status
from engine.spec import LimitSpec, MarginSpec, RiskLimits, ShockSpec, WindowSpec
from tests.stories.desk import dollars, filled, row
from tests.stories.risk import RETURNS, ask, day, hold, loss, market, midnight

BUY, SELL = Side.BUY, Side.SELL
CUT = LimitAction.RESIZE


def limited(**shares: float) -> RiskLimits:
    return RiskLimits(**{name: LimitSpec(share) for name, share in shares.items()})


def test_order_passes_up_to_the_var_limit_and_its_denial_says_by_how_much_it_is_beyond() -> None:
    # 2.01 % of 10,000 are 201; a lot has a VaR of 4: 50 lots 200, 51 lots 204
    engine = market(limits=limited(var=0.0201))
    event = ask(engine, BUY, 51)
    assert (event["status"], event["code"]) == (Status.DENIED, Code.VAR)
    assert event["measure"] == pytest.approx(0.0204, rel=1e-12)
    assert event["bound"] == pytest.approx(0.0201, rel=1e-12)
    assert engine.state.denied[Code.VAR] == 1
    assert ask(engine, BUY, 50)["code"] == Code.NONE


def test_order_that_passes_carries_no_measure() -> None:
    event = ask(market(limits=limited(var=0.0201)), BUY, 10)
    assert (event["measure"], event["bound"]) == (0.0, 0.0)


def test_order_passes_up_to_the_cvar_limit() -> None:
    # a lot has a CVaR of 7: 50 lots 350, 51 lots 357
    engine = market(limits=limited(cvar=0.0351))
    event = ask(engine, BUY, 51)
    assert (event["code"], event["measure"]) == (Code.CVAR, pytest.approx(0.0357, rel=1e-12))
    assert ask(engine, BUY, 50)["code"] == Code.NONE


def test_short_position_loses_where_the_market_gains() -> None:
    # the best days are 4, 3 and 2 %: the VaR of a lot sold is 2
    engine = market(limits=limited(var=0.0101))
    assert ask(engine, SELL, 51)["code"] == Code.VAR
    assert ask(engine, SELL, 50)["code"] == Code.NONE


def test_var_over_four_periods_is_twice_that_of_one() -> None:
    engine = market(limits=limited(var=0.0402), horizon=4)
    assert ask(engine, BUY, 51)["code"] == Code.VAR
    assert ask(engine, BUY, 50)["code"] == Code.NONE


def test_gaussian_var_is_that_of_the_mean_and_standard_deviation() -> None:
    # mean -1.25 %. The squares sum to 150 (%^2), less 8 x 1.25^2 = 12.5: 137.5 / 7 = 19.642857; sd 4.4320262 %.
    # z at 75 % is 0.6744898: VaR = 1.25 + 0.6744898 x 4.4320262 = 4.2393563 % of the value.
    # 2.01 % of 10,000 are 201 = 47.41 lots' VaR of 4.2393563
    engine = market(limits=limited(var=0.0201), method=Method.GAUSSIAN)
    event = ask(engine, BUY, 48)
    assert (event["code"], event["measure"]) == (Code.VAR, pytest.approx(48 * 4.2393563 / 10_000, rel=1e-7))
    assert ask(engine, BUY, 47)["code"] == Code.NONE


def test_share_is_of_the_equity_as_it_is_now() -> None:
    # 40 lots, then the price is 110: equity 10,400, of which 2.01 % are 209.04; a lot's VaR is 4.4: 47.5 lots
    engine = market(limits=limited(var=0.0201))
    hold(engine, 40)
    row(engine, 110.0)
    assert ask(engine, BUY, 8)["code"] == Code.VAR
    assert ask(engine, BUY, 7)["code"] == Code.NONE


def test_account_without_equity_is_denied() -> None:
    engine = market(limits=limited(var=0.5), cash=0.0)
    assert ask(engine, BUY, 1)["status"] == Status.DENIED


def test_working_orders_count_as_if_any_of_them_filled() -> None:
    engine = market(limits=limited(var=0.0201))
    assert ask(engine, BUY, 30, limit=90.0)["code"] == Code.NONE
    assert ask(engine, BUY, 21)["code"] == Code.VAR
    assert ask(engine, BUY, 20, limit=90.0)["code"] == Code.NONE
    # what works on the other side is no hedge before it has filled; by itself 2 a lot, and as large: within
    assert ask(engine, SELL, 50, limit=110.0)["code"] == Code.NONE
    assert ask(engine, BUY, 1)["code"] == Code.VAR


def test_cancelled_order_counts_no_more() -> None:
    engine = market(limits=limited(var=0.0201))
    event = ask(engine, BUY, 50, limit=90.0)
    assert ask(engine, BUY, 50)["code"] == Code.VAR
    engine.cancel(event["order_id"])
    assert ask(engine, BUY, 50)["code"] == Code.NONE


def test_order_is_cut_to_the_largest_size_that_passes() -> None:
    engine = market(limits=RiskLimits(var=LimitSpec(0.0201, action=CUT)))
    event = ask(engine, BUY, 80)
    assert (event["status"], event["code"], event["lots"]) == (Status.NEW, Code.VAR, 50)
    assert event["bound"] == pytest.approx(0.0201, rel=1e-12)
    assert filled(row(engine, 100.0, size=1e9)) == [(1, 50, 100.0)]
    assert ask(engine, BUY, 1)["status"] == Status.DENIED  # nothing passes any more


def test_cut_below_the_instruments_smallest_order_is_a_denial() -> None:
    limits = RiskLimits(var=LimitSpec(0.0201, action=CUT))
    engine = market(limits=limits, instrument={"min_lots": 51})
    assert ask(engine, BUY, 80)["status"] == Status.DENIED
    assert ask(market(limits=limits, instrument={"min_lots": 50}), BUY, 80)["lots"] == 50


def test_both_limits_cut_to_what_passes_both() -> None:
    # VaR: 50 lots; CVaR 2.85 % = 285: 40 lots at 7
    both = RiskLimits(var=LimitSpec(0.0201, action=CUT), cvar=LimitSpec(0.0285, action=CUT))
    assert ask(market(limits=both), BUY, 80)["lots"] == 40


# Two scenarios of A (100 lots, 10,000) lose 500, one 100, and a lot of B moves them by +5, +5 and -2; two in which A
# makes 350 it moves by -5; in the rest both gain. The third largest loss with q lots of B is that of the single
# scenario, 100 + 2 q, until 57 lots; then that of the first two, 500 - 5 q; from 85 lots on that of the next two, 5 q - 350.
HEDGED = {
    "A": (0.01, -0.05, 0.035, 0.01, -0.05, -0.01, 0.035, 0.01),
    "B": (0.001, 0.05, -0.05, 0.001, 0.05, -0.02, -0.05, 0.001),
}


@pytest.mark.parametrize(
    ("lots", "passes"),
    # limit 151: 100 + 2 x 25 = 150; 500 - 5 x 70 = 150; 5 x 100 - 350 = 150
    [
        (25, 25),
        (26, 25),
        (60, 25),
        (69, 25),
        (70, 70),
        (84, 84),
        (100, 100),
        (101, 100),
        (400, 100),
        (10_000, 100),
    ],
)
def test_hedge_that_passes_only_when_it_is_large_is_cut_to_the_largest_size(lots: int, passes: int) -> None:
    for action in (CUT, LimitAction.DENY):
        engine = market(
            HEDGED, RiskLimits(var=LimitSpec(0.0151, action=action)), margin=MarginSpec(1000.0, 0.0)
        )
        hold(engine, 100)
        event = ask(engine, BUY, lots, slot=1)
        if action == CUT or passes == lots:
            assert (event["status"], event["lots"]) == (Status.NEW, passes)
            assert event["code"] == (Code.NONE if passes == lots else Code.VAR)
        else:
            assert (event["status"], event["code"]) == (Status.DENIED, Code.VAR)


def test_exit_passes_above_the_limit_and_an_order_that_adds_does_not() -> None:
    # 50 x 80 x 6 % = 240; equity 9,000, of which 2.01 % are 180.9
    engine = market(limits=limited(var=0.0201))
    hold(engine, 50)
    day(engine, 80.0)
    event = ask(engine, BUY, 1)
    assert (event["code"], event["measure"]) == (Code.VAR, pytest.approx(51 * 80 * 0.06 / 9_000))
    assert ask(engine, SELL, 10)["code"] == Code.NONE  # still beyond: 192
    assert ask(engine, SELL, 5, reduce_only=True)["code"] == Code.NONE
    assert filled(row(engine, 80.0, size=1e9)) == [(-1, 10, 80.0), (-1, 5, 80.0)]


def test_hedge_that_lowers_a_var_beyond_the_limit_passes_and_one_that_raises_it_does_not() -> None:
    engine = market({"A": RETURNS, "B": tuple(-r for r in RETURNS)}, limited(var=0.0201))
    hold(engine, 50)
    day(engine, 80.0, 120.0)  # B gained what A lost
    assert ask(engine, BUY, 10, slot=1)["code"] == Code.NONE  # 10 x 120 offset as much of A
    assert ask(engine, SELL, 10, slot=1)["code"] == Code.VAR


def test_hedge_that_flips_the_portfolio_to_a_larger_var_is_denied() -> None:
    # the hedge is so large that what it leaves loses 4, 3, 2 % in rises: beyond, and more than before
    engine = market({"A": RETURNS, "B": tuple(-r for r in RETURNS)}, limited(var=0.0201))
    hold(engine, 50)
    day(engine, 80.0, 120.0)
    assert ask(engine, BUY, 1_000, slot=1)["code"] == Code.VAR


def test_history_too_short_denies_all_but_exits() -> None:
    engine = market(RETURNS[:3], limited(var=0.5))
    assert ask(engine, BUY, 1)["code"] == Code.HISTORY
    day(engine, 101.0)  # the fourth return
    assert ask(engine, BUY, 1)["code"] == Code.NONE


def test_history_in_which_nothing_moved_denies_all_but_exits() -> None:
    engine = market(limits=limited(var=0.5))
    hold(engine, 20)
    for _ in range(8):
        day(engine, 100.0)
    assert ask(engine, BUY, 1)["code"] == Code.SINGULAR
    assert ask(engine, SELL, 21)["code"] == Code.SINGULAR  # it would flip the position
    assert ask(engine, SELL, 20)["code"] == Code.NONE
    assert filled(row(engine, 100.0, size=1e9)) == [(-1, 20, 100.0)]


def test_short_history_elsewhere_does_not_matter_where_nothing_of_it_is_held() -> None:
    engine = market({"A": RETURNS, "B": (0.0,) * 8}, limited(var=0.5))
    assert ask(engine, BUY, 1)["code"] == Code.NONE
    assert ask(engine, BUY, 1, slot=1)["code"] == Code.SINGULAR


def test_prior_volatility_counts_what_has_too_short_a_history() -> None:
    # 3 % a day: z at 75 % is 0.67448975, so a lot's VaR is 100 x 0.03 x 0.67448975 = 2.02346925; 2.03 % of 10,000 are
    # 203 = 100.3 lots
    engine = market(RETURNS[:3], limited(var=0.0203), prior_volatility=0.03)
    event = ask(engine, BUY, 101)
    assert (event["code"], event["measure"]) == (Code.VAR, pytest.approx(101 * 2.02346925e-4))
    assert ask(engine, BUY, 100)["code"] == Code.NONE


def test_prior_volatility_of_a_cvar_takes_the_shortfall_beyond_it() -> None:
    # phi(0.67448975) / 0.25 = 0.31777657 / 0.25 = 1.27110628: a lot's CVaR is 3.81331884; 3.82 % hold 100.2 lots
    engine = market(RETURNS[:3], limited(cvar=0.0382), prior_volatility=0.03)
    event = ask(engine, BUY, 101)
    assert (event["code"], event["measure"]) == (Code.CVAR, pytest.approx(101 * 3.81331884e-4))
    assert ask(engine, BUY, 100)["code"] == Code.NONE


def test_prior_is_added_to_the_rest_without_any_offset() -> None:
    # 25 lots of A: 100. The rest of 201 is 101, or 49.9 lots of B at 2.02346925, bought or sold
    for side in (BUY, SELL):
        engine = market({"A": RETURNS, "B": (0.0,) * 8}, limited(var=0.0201), prior_volatility=0.03)
        hold(engine, 25)
        event = ask(engine, side, 50, slot=1)
        assert (event["code"], event["measure"]) == (
            Code.VAR,
            pytest.approx((100 + 50 * 2.02346925) / 10_000),
        )
        assert ask(engine, side, 49, slot=1)["code"] == Code.NONE


def test_younger_instrument_is_measured_over_its_own_rows_and_over_all_the_larger_counts() -> None:
    # B has four returns: A and B share the newest four rows. A's are -2, 3, -6, 1 %, B's -1, 1, -3, 2 %.
    # 20 lots of each, by row: -60, 80, -180, 60. One of four lies beyond the VaR, the second largest loss: 60. Over all
    # eight rows, of which B lacks four, two lie beyond: A's -4 % of an older row are the third largest loss, 80, and the
    # two worst of a mean of less than 180
    engine = market({"A": RETURNS, "B": (0.02, -0.03, 0.01, -0.01)}, limited(var=0.5))
    hold(engine, 20)
    assert loss(engine).var == pytest.approx(80.0)  # 20 lots at 4
    hold(engine, 20, slot=1)
    assert loss(engine).var == pytest.approx(80.0)
    assert loss(engine).cvar == pytest.approx(180.0)


SHOCKS = (ShockSpec("crash", (("A", -0.1),), -0.05), ShockSpec("boom", (("A", 0.02),), 0.08))


def test_shock_is_a_loss_that_comes_at_once() -> None:
    # 501: A loses 10 a lot; B 5, or sold short 8 in the boom
    engine = market({"A": RETURNS, "B": RETURNS}, limited(stressed_var=0.0501), shocks=SHOCKS)
    event = ask(engine, BUY, 51)
    assert (event["code"], event["measure"]) == (Code.STRESSED_VAR, pytest.approx(0.051))
    assert ask(engine, BUY, 101, slot=1)["code"] == Code.STRESSED_VAR
    assert ask(engine, SELL, 63, slot=1)["code"] == Code.STRESSED_VAR
    assert ask(engine, SELL, 62, slot=1)["code"] == Code.NONE


def test_shocks_do_not_grow_with_the_horizon() -> None:
    engine = market(limits=limited(stressed_var=0.0501), shocks=SHOCKS, horizon=4)
    assert ask(engine, BUY, 50)["code"] == Code.NONE


def test_shock_needs_no_history() -> None:
    engine = market(RETURNS[:2], limited(stressed_var=0.0501), shocks=SHOCKS)
    assert ask(engine, BUY, 51)["code"] == Code.STRESSED_VAR
    assert ask(engine, BUY, 50)["code"] == Code.NONE


# twenty days of crisis, of which six lost 5 % and the others gained 1 %; then eight calm ones
CRISIS = tuple(-0.05 if d % 3 == 0 and d < 18 else 0.01 for d in range(20))


def test_window_of_stress_is_the_var_of_its_days() -> None:
    # 5 of 20 scenarios lie beyond the VaR at 75 %: the sixth largest loss is 5 %, while the last eight days know of 4 %
    window = WindowSpec(
        "crisis", 1 * DAY, 21 * DAY
    )  # returns are of the days 1 to 20, whose rows end at 2 to 21
    engine = market(
        (*CRISIS, *RETURNS),
        limited(stressed_var=0.0251),
        windows=(window,),
        engine={"trade_from": 21 * DAY},
    )
    event = ask(engine, BUY, 51)
    assert (event["code"], event["measure"]) == (Code.STRESSED_VAR, pytest.approx(0.0255))
    assert ask(engine, BUY, 50)["code"] == Code.NONE
    assert loss(engine).stressed_var == pytest.approx(0.0)  # nothing is held
    row(engine, 100.0, size=1e9)
    assert loss(engine).stressed_var == pytest.approx(250.0)
    assert loss(engine).var == pytest.approx(200.0)


def test_window_of_stress_takes_the_rows_that_end_in_it() -> None:
    # the day after the crisis makes 21 rows: m = 5.25, the sixth largest loss is still 5 %. Without the first day five
    # days of loss are left among 20 and the sixth is a gain of 1 %.
    for start, stressed in ((1, 250.0), (2, -50.0)):
        window = WindowSpec("crisis", start * DAY, 22 * DAY)
        engine = market(
            (*CRISIS, *RETURNS), limited(stressed_var=0.5), windows=(window,), engine={"trade_from": 22 * DAY}
        )
        hold(engine, 50)
        assert loss(engine).stressed_var == pytest.approx(stressed)


def test_window_of_fewer_than_twenty_days_cannot_be_computed() -> None:
    window = WindowSpec("crisis", 2 * DAY, 21 * DAY)  # 19 rows
    engine = market(
        (*CRISIS, *RETURNS), limited(stressed_var=0.5), windows=(window,), engine={"trade_from": 21 * DAY}
    )
    assert ask(engine, BUY, 1)["code"] == Code.HISTORY


def test_window_of_fewer_than_twenty_days_counts_with_the_prior_alone() -> None:
    window = WindowSpec("crisis", 2 * DAY, 21 * DAY)  # 19 rows, six of -5 %
    engine = market(
        (*CRISIS, *RETURNS),
        limited(stressed_var=0.5),
        windows=(window,),
        prior_volatility=0.03,
        engine={"trade_from": 21 * DAY},
    )
    hold(engine, 50)
    assert loss(engine).stressed_var == pytest.approx(50 * 2.02346925)


@pytest.mark.parametrize("days", [RETURNS, (*CRISIS[10:], *RETURNS), (*CRISIS[1:], *RETURNS)])
def test_instrument_that_came_after_a_window_began_counts_with_the_prior(days: tuple[float, ...]) -> None:
    window = WindowSpec("crisis", 1 * DAY, 21 * DAY)
    engine = market(
        {"A": (*CRISIS, *RETURNS), "B": days},
        limited(stressed_var=0.0251),
        windows=(window,),
        prior_volatility=0.03,
        engine={"trade_from": 21 * DAY},
    )
    # 25 lots of A: 125; B: 2.02346925 a lot: 126 hold 62.2
    hold(engine, 25)
    assert ask(engine, BUY, 63, slot=1)["code"] == Code.STRESSED_VAR
    assert ask(engine, BUY, 62, slot=1)["code"] == Code.NONE


@pytest.mark.parametrize("broken", [math.nan, -math.inf])
@pytest.mark.parametrize("name", ["var", "cvar", "stressed_var"])
def test_scenario_that_is_no_number_denies_all_but_exits(name: str, broken: float) -> None:
    engine = market(limits=limited(**{name: 0.5}), shocks=SHOCKS)
    hold(engine, 10)
    r = engine.state.risk[0]
    engine.state.scenarios[(r.stressed if name == "stressed_var" else r.raw) + 1] = broken
    row(engine, 100.01)
    assert ask(engine, BUY, 1)["code"] == Code.NOT_FINITE
    assert ask(engine, SELL, 10)["code"] == Code.NONE


def test_strategys_and_operators_order_meet_the_same_gate() -> None:
    for slot in (0, 1):  # the operator's comes last
        engine = market(limits=limited(var=0.0201))
        assert engine.operator_slot("a", "A") == 1
        event = ask(engine, BUY, 51, slot=slot)
        assert (event["code"], event["measure"]) == (Code.VAR, pytest.approx(0.0204))
        assert ask(engine, BUY, 50, slot=slot)["code"] == Code.NONE


def test_amended_order_is_judged_as_the_new_one_that_it_is() -> None:
    engine = market(limits=limited(var=0.0201))
    event = ask(engine, BUY, 40, limit=90.0)
    engine.amend(event["order_id"], 51)
    assert engine.state.denied[Code.VAR] == 1
    engine.amend(event["order_id"], 50)
    assert engine.state.denied[Code.VAR] == 1
    assert ask(engine, BUY, 1)["code"] == Code.VAR


def test_parts_of_a_measure_add_up_to_it() -> None:
    # A: 20 lots, B: 10 sold. By row (newest first): A's -2, 3, -6, 1, -8, 2, -4, 4 %, B's half of A's: the portfolio
    # makes 20 - 5 = 15 times each of A's percents. The VaR is 60, in the row of -4 %: -80 from A, +20 from B
    engine = market({"A": RETURNS, "B": tuple(r / 2 for r in RETURNS)}, limited(var=0.5))
    hold(engine, 20)
    hold(engine, -10, slot=1)
    measured = loss(engine)
    assert measured.code == Code.NONE
    assert [measured.var, measured.cvar] == pytest.approx([60, 105])
    assert measured.equity == dollars(10_000)
    assert [(name, value) for name, value, _, _ in measured.parts] == [("A", 2_000.0), ("B", -1_000.0)]
    assert [var for _, _, var, _ in measured.parts] == pytest.approx([80, -20])
    assert [cvar for _, _, _, cvar in measured.parts] == pytest.approx([140, -35])


def test_measure_by_another_method_leaves_the_limits_as_they_are() -> None:
    engine = market(limits=limited(var=0.0201))
    hold(engine, 50)
    gaussian = loss(engine, method=Method.GAUSSIAN)
    assert gaussian.var == pytest.approx(50 * 4.2393563, rel=1e-7)
    assert loss(engine).var == pytest.approx(200)
    assert ask(engine, BUY, 1)["code"] == Code.VAR


def test_var_that_cannot_be_computed_says_why() -> None:
    engine = market(RETURNS[:3])
    hold(engine, 10)
    assert loss(engine).code == Code.HISTORY


def test_too_many_orders_are_denied() -> None:
    engine = market(engine={"most_orders": 3})
    for _ in range(3):
        assert ask(engine, BUY, 1, limit=50.0)["code"] == Code.NONE
    assert ask(engine, BUY, 1, limit=50.0)["code"] == Code.BUFFER
    engine.cancel(1)
    assert ask(engine, BUY, 1, limit=50.0)["code"] == Code.NONE


def test_exit_passes_though_there_are_too_many_orders() -> None:
    engine = market(engine={"most_orders": 1})
    hold(engine, 10)
    assert ask(engine, BUY, 1, limit=50.0)["code"] == Code.NONE
    assert ask(engine, SELL, 10)["code"] == Code.NONE


def test_mark_that_is_too_old_denies_what_would_be_added_to_it() -> None:
    # A printed at noon, twelve hours before midnight; B a moment ago
    others = {"max_stale_ns": DAY // 4}
    engine = market({"A": RETURNS, "B": RETURNS}, limited(var=0.5), others=others)
    row(engine, 100.0, instrument=0)
    hold(engine, 10)
    midnight(engine)
    row(engine, 100.0, instrument=1)
    event = ask(engine, BUY, 1, slot=1)
    assert event["code"] == Code.PRICE_STALE  # of A, which is held
    assert ask(engine, SELL, 10)["code"] == Code.NONE
    row(engine, 100.0, instrument=0, size=1e9)
    assert ask(engine, BUY, 1, slot=1)["code"] == Code.NONE


def test_monte_carlo_of_one_instrument_is_its_own_spread() -> None:
    # 2,000 antithetic normals at the sample's standard deviation, 4.4320262 %: the VaR at 75 % is about 0.6745 of it
    engine = market(limits=limited(var=0.5), method=Method.MONTE_CARLO)
    hold(engine, 100)
    sd = 443.20262
    measured = loss(engine)
    assert measured.var == pytest.approx(0.67448975 * sd, rel=0.05)
    assert measured.cvar == pytest.approx(1.27110628 * sd, rel=0.05)


def test_ewma_var_forgets() -> None:
    # decay 0.5: the weights of the newest are 128, 64, 32, ... 1 of 255; squares (newest first) 4, 9, 36, 1, 64, 4, 16, 16
    # 128 x 4 + 64 x 9 + 32 x 36 + 16 x 1 + 8 x 64 + 4 x 4 + 2 x 16 + 1 x 16 = 2,832; / 255 = 11.105882; sd 3.3325489 %
    engine = market(limits=limited(var=0.5), method=Method.EWMA, decay=0.5)
    hold(engine, 100)
    assert loss(engine).var == pytest.approx(0.67448975 * 333.25489, rel=1e-7)


def test_filtered_var_scales_each_day_to_the_volatility_of_today() -> None:
    # decay 0.5. The variance forecast before each day, in %^2: the first day is its own, 16; then
    # 16, (16+16)/2 = 16, (16+4)/2 = 10, (10+64)/2 = 37, (37+1)/2 = 19, (19+36)/2 = 27.5, (27.5+9)/2 = 18.25, and for
    # tomorrow (18.25+4)/2 = 11.125
    before = (16.0, 16.0, 16.0, 10.0, 37.0, 19.0, 27.5, 18.25)
    scaled = sorted(100 * r * math.sqrt(11.125 / v) for r, v in zip(RETURNS, before, strict=True))
    engine = market(limits=limited(var=0.5), method=Method.FILTERED, decay=0.5)
    hold(engine, 100)
    assert loss(engine).var == pytest.approx(-100 * scaled[2], rel=1e-9)
    assert loss(engine).cvar == pytest.approx(-50 * (scaled[0] + scaled[1]), rel=1e-9)


def test_cornish_fisher_var_takes_skewness_and_kurtosis_in() -> None:
    # distances from the mean of -1.25 %: 5.25, -2.75, 3.25, -6.75, 2.25, -4.75, 4.25, -0.75; the sums of their second,
    # third and fourth powers are 137.5, -168.75 and 3,865.65625. Divided by 8: sigma = 4.14578099 %, S = -21.09375 /
    # sigma^3 = -0.29602932, K = 483.20703 / sigma^4 - 3 = -1.36428430. With q = -0.67448975: q + (q^2 - 1) S / 6 +
    # (q^3 - 3 q) K / 24 - (2 q^3 - 5 q) S^2 / 36 = -0.67448975 + 0.02689247 - 0.09758153 - 0.00671551 = -0.75189433;
    # VaR = 1.25 + 4.14578099 x 0.75189433. CVaR: 1.27110629 x (1 + q S / 6 + (q^2 - 1) K / 24 - (2 q^2 - 1) S^2 / 36)
    # = 1.27110629 x 1.06448175 = 1.35306945 deviations
    engine = market(limits=limited(var=0.5), method=Method.CORNISH_FISHER)
    hold(engine, 100)
    assert loss(engine).var == pytest.approx(436.71892, rel=1e-7)
    assert loss(engine).cvar == pytest.approx(100 * (1.25 + 4.14578099 * 1.35306945), rel=1e-7)


def test_limit_is_above_one_where_leverage_is() -> None:
    engine = market(limits=limited(var=1.2), margin=MarginSpec(100.0, 0.0))
    assert ask(engine, BUY, 3_001)["code"] == Code.VAR  # 12,004 of 12,000
    assert ask(engine, BUY, 2_999)["code"] == Code.NONE
