"""`module:Class` becomes a class, or an error that says what to do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from pydantic import BaseModel, Field, ValidationError

from strategies import Strategy, StrategyError, StrategyLoadError
from strategies.loading import load_strategy_class, make_actor


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for modules; those that a test imports are forgotten after it."""
    before = set(sys.modules)
    configs = tmp_path / "configs"
    configs.mkdir()
    monkeypatch.chdir(tmp_path)
    yield configs
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(path: Path, source: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(source))


GOOD = """
    from strategies import Strategy

    class Good(Strategy):
        def on_bar(self, ctx, bar): ...
"""


def test_class_is_found_in_the_given_folder_and_the_search_path_is_left_as_it_was(folder: Path) -> None:
    write(folder / "mine_a.py", GOOD)
    before = list(sys.path)
    cls = load_strategy_class("mine_a:Good", folder)
    assert (cls.__name__, cls.__module__) == ("Good", "mine_a")
    assert sys.path == before


def test_class_is_found_in_the_current_directory_also_in_a_package(folder: Path) -> None:
    write(folder.parent / "pack_b" / "deep.py", GOOD)
    assert load_strategy_class("pack_b.deep:Good").__name__ == "Good"
    assert load_strategy_class("pack_b.deep:Good", folder).__name__ == "Good"


def test_given_folder_comes_before_the_current_directory(folder: Path) -> None:
    write(folder / "mine_c.py", GOOD)
    write(folder.parent / "mine_c.py", GOOD)
    load_strategy_class("mine_c:Good", folder)
    assert Path(sys.modules["mine_c"].__file__ or "").parent == folder


def test_module_may_import_its_neighbours(folder: Path) -> None:
    write(folder / "helper_d.py", "NUMBER = 3\n")
    write(folder / "mine_d.py", "from helper_d import NUMBER\n" + dedent(GOOD))
    assert load_strategy_class("mine_d:Good", folder).__module__ == "mine_d"


@pytest.mark.parametrize(
    ("source", "use", "message"),
    [
        ("", "mine_e", "'mine_e' is not of the form module:Class, such as my_strategy:MyStrategy"),
        ("", "mine_e:", "'mine_e:' is not of the form module:Class"),
        ("", "a/b.py:C", "'a/b.py:C' is not of the form module:Class"),
        ("", "absent_e:C", "there is no module 'absent_e' in .*configs, .*, nor is one installed"),
        ("import absent_x", "mine_e:C", "module 'mine_e' imports 'absent_x', which is not installed"),
        ("1 / 0", "mine_e:C", "module 'mine_e' fails: ZeroDivisionError: division by zero"),
        ("x = ", "mine_e:C", r"module 'mine_e' fails: SyntaxError: .*mine_e.py:1"),
        (GOOD, "mine_e:God", "there is no God in .*mine_e.py; did you mean Good?"),
        (GOOD, "mine_e:Xyz", "there is no Xyz in .*mine_e.py; its strategies: Good"),
        ("C = 3", "mine_e:C", "'mine_e:C' is no subclass of strategies.Strategy; write class C"),
        ("class C: ...", "mine_e:C", "'mine_e:C' is no subclass of strategies.Strategy"),
        (GOOD, "mine_e:Strategy", "'mine_e:Strategy' is no subclass of strategies.Strategy"),
        (
            GOOD.replace("on_bar", "on_bra"),
            "mine_e:Good",
            "Good.on_bra is never called; did you mean on_bar?",
        ),
    ],
)
def test_what_cannot_be_loaded_is_refused_with_the_reason(
    folder: Path, source: str, use: str, message: str
) -> None:
    write(folder / "mine_e.py", source)
    before = list(sys.path)
    with pytest.raises(StrategyLoadError, match=message):
        load_strategy_class(use, folder)
    assert sys.path == before


def test_namesake_of_a_module_that_is_loaded_already_is_refused(folder: Path) -> None:
    write(folder / "mine_f.py", GOOD)
    load_strategy_class("mine_f:Good", folder)
    write(folder.parent / "other" / "mine_f.py", GOOD)
    with pytest.raises(
        StrategyLoadError, match=r"module 'mine_f' is loaded from .*configs/mine_f.py already"
    ):
        load_strategy_class("mine_f:Good", folder.parent / "other")
    load_strategy_class("mine_f:Good", folder)  # the first may be asked for again


# -- actors -------------------------------------------------------------------------------------------------------


class Sized(Strategy):
    class Params(BaseModel):  # forbids nothing itself
        window: int = Field(5, ge=1)

    history = 12

    @property
    def features(self) -> tuple[str, ...]:
        return (f"sma_{self.params.window}", "cash_share")

    def on_bar(self, ctx, bar): ...


def test_actor_has_what_the_engines_spec_needs_from_class_and_parameters() -> None:
    actor = make_actor("a/sized", Sized, {"window": 9})
    assert (actor.name, actor.features, actor.history, actor.wants) == (
        "a/sized",
        ("sma_9", "cash_share"),
        12,
        1,
    )
    assert actor.strategy.params.window == 9
    assert make_actor("s", Sized).features[0] == "sma_5"


@pytest.mark.parametrize(
    ("params", "where", "kind"),
    [
        ({"window": 0}, ("window",), "greater_than_equal"),
        ({"windwo": 3}, ("windwo",), "extra_forbidden"),
        ({"window": "many"}, ("window",), "int_parsing"),
    ],
)
def test_bad_parameters_are_reported_by_pydantic_with_their_place(
    params: dict[str, object], where: tuple[str, ...], kind: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        make_actor("s", Sized, params)
    assert [(e["loc"], e["type"]) for e in caught.value.errors()] == [(where, kind)]


def test_parameter_given_to_a_class_without_parameters_is_refused() -> None:
    with pytest.raises(ValidationError, match="extra_forbidden"):
        make_actor("s", type("Plain", (Strategy,), {}), {"fast": 3})


def test_unknown_feature_is_refused_with_the_strategys_name() -> None:
    with pytest.raises(StrategyLoadError, match="strategy 's': unknown feature 'smaa_3'; there are: close"):
        make_actor("s", type("Odd", (Strategy,), {"features": ("smaa_3",)}))


def test_impossible_history_is_refused() -> None:
    with pytest.raises(StrategyLoadError, match="strategy 's': a history of -1 bars"):
        make_actor("s", type("Odd", (Strategy,), {"history": -1}))


def test_exception_in_the_constructor_names_the_strategy() -> None:
    class Broken(Strategy):
        def __init__(self, params: object) -> None:
            raise RuntimeError("oh")

    with pytest.raises(StrategyError, match="strategy 's', when made: RuntimeError: oh"):
        make_actor("s", Broken)
