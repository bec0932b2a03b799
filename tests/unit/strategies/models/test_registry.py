import json
import shutil
import threading
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from engine.models import Network
from strategies.errors import RegistryError, StrategyLoadError
from strategies.models import Registry
from strategies.models.card import card_bytes, digest, read_card
from strategies.models.weights import to_bytes
from tests.unit.strategies.models.examples import card, network, table, target_card


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path / "models")


def other_table():
    q = table().q
    q[0, 0] += 2**-40
    return table(q=q)


def test_stored_q_table_is_loaded_to_the_last_bit(registry):
    ref = registry.store(table(), card())
    loaded = registry.load(ref)
    assert loaded.ref == ref
    assert loaded.model.q.tobytes() == table().q.tobytes()
    assert [e.tolist() for e in loaded.model.edges] == [[30, 70], [0.5]]
    assert loaded.card.metric("test").buy_and_hold == 0.2
    assert loaded.card.metric("validation").sharpe is None
    assert [registry.names(), registry.versions("rsi")] == [["rsi"], [ref.partition("@")[2]]]


def test_stored_networks_are_loaded_with_layers_in_order_and_their_activation(registry):
    random = np.random.default_rng(1)
    widths = [2, *[3] * 7, 1]
    deep = Network(
        mean=random.normal(size=2),
        scale=np.ones(2),
        clip=5.0,
        weights=tuple(random.normal(size=(b, a)) for a, b in pairwise(widths)),
        biases=tuple(random.normal(size=b) for b in widths[1:]),
        activation="relu",
    )
    seen = random.normal(size=(50, 2))
    loaded = registry.load(registry.store(deep, target_card())).model
    assert loaded.values(seen).tobytes() == deep.values(seen).tobytes()
    assert (loaded.activation, loaded.clip) == ("relu", 5.0)
    single = registry.load(registry.store(network(), target_card(name="one"))).model
    # 2 (2 - 1) - 0.5 * (3.5 - 3) * 4 + 0.25 = 2 - 1 + 0.25
    assert single.values(np.array([[2.0, 3.5]])).tolist() == [[1.25]]


def test_feature_without_edges_keeps_its_place(registry):
    model = table(edges=(np.array([]), np.array([1.0, 2, 3, 4, 5])))
    assert [len(e) for e in registry.load(registry.store(model, card())).model.edges] == [0, 5]


def test_weights_are_a_file_that_safetensors_itself_reads(registry):
    folder = registry.load(registry.store(table(), card())).folder
    there = load_file(folder / "weights.safetensors")
    assert {name: array.tolist() for name, array in there.items()} == {
        "q": table().q.tolist(),
        "edges.0": [30, 70],
        "edges.1": [0.5],
    }
    with safe_open(folder / "weights.safetensors", framework="np") as file:
        assert file.metadata() == {"model": "q_table"}


def test_version_is_of_the_training_and_not_of_what_was_measured(registry):
    first = registry.store(table(), card())
    measured_later = card(deflated_sharpe=0.5, created=datetime(2027, 1, 1, tzinfo=UTC), name="again")
    assert registry.store(table(), measured_later).partition("@")[2] == first.partition("@")[2]
    others = [
        registry.store(other_table(), card()),
        registry.store(table(), card(seed=8)),
        registry.store(table(), card(config_hash="x")),
        registry.store(table(), card(data_hash="x")),
        registry.store(table(), card(timeframe_ns=60 * 10**9)),
        registry.store(table(), card(features=["rsi_14", "drawdown"])),
        registry.store(table(), card(features=["exposure", "rsi_14"])),
        registry.store(table(), card(algorithm="import")),
        registry.store(
            table(), card(actions={"kind": "discrete", "short": True, "size": {"fraction": 0.95}})
        ),
        registry.store(table(), card(actions={"kind": "discrete", "size": {"units": 0.95}})),
    ]
    assert len({first, *others}) == 11


def test_stored_again_keeps_its_promotion_and_takes_the_new_date_figures_and_files(registry):
    ref = registry.store(table(), card(), {"sb3.zip": b"zip", "old.csv": b""})
    registry.promote(ref)
    later = card(created=datetime(2027, 1, 1, tzinfo=UTC), deflated_sharpe=0.5)
    assert registry.store(table(), later, {"sb3.zip": b"another"}) == ref
    loaded = registry.load("rsi")
    assert loaded.card.deflated_sharpe == 0.5
    assert loaded.card.created.year == 2027
    assert loaded.card.promotion["version"] == ref.partition("@")[2]
    assert (loaded.folder / "sb3.zip").read_bytes() == b"another"
    assert sorted(p.name for p in loaded.folder.iterdir()) == ["card.json", "sb3.zip", "weights.safetensors"]
    assert len(registry.versions("rsi")) == 1


@pytest.mark.parametrize("file", ["weights.safetensors", "card.json", "sb3.zip"])
def test_each_changed_byte_is_refused_with_what_to_do(registry, file):
    ref = registry.store(table(), card(), {"sb3.zip": b"zip"})
    path = registry.load(ref).folder / file
    content = path.read_bytes()
    for i in range(0, len(content), 7):
        if content[i : i + 1].isspace() and file == "card.json":
            continue  # JSON does not mean anything by it
        path.write_bytes(content[:i] + bytes([content[i] ^ 1]) + content[i + 1 :])
        with pytest.raises(RegistryError, match="train it again"):
            registry.load(ref)
    path.unlink()
    with pytest.raises(RegistryError, match=rf"{file}: cannot be read"):
        registry.load(ref)
    path.write_bytes(content)
    assert registry.load(ref).ref == ref


def test_card_whose_figures_were_embellished_is_refused(registry):
    folder = registry.load(registry.store(table(), card())).folder
    there = json.loads((folder / "card.json").read_text())
    there["deflated_sharpe"] = 0.99
    (folder / "card.json").write_text(json.dumps(there))
    with pytest.raises(RegistryError, match="the card was changed"):
        registry.load("rsi@" + folder.name)


def test_card_that_was_written_anew_for_other_weights_is_refused(registry):
    folder = registry.load(registry.store(table(), card())).folder
    weights = to_bytes(other_table())
    (folder / "weights.safetensors").write_bytes(weights)
    there = read_card(folder / "card.json")
    forged = there.model_copy(update={"files": {"weights.safetensors": digest(weights)}}).with_checksum()
    (folder / "card.json").write_bytes(card_bytes(forged))
    with pytest.raises(RegistryError, match="its content is not that of version"):
        registry.load(there.ref)


def test_weights_and_card_of_another_model_are_refused(registry):
    a, b = (registry.load(registry.store(m, card())).folder for m in (table(), other_table()))
    shutil.rmtree(a)
    shutil.copytree(b, a)
    with pytest.raises(RegistryError, match=f"{a.name}: holds rsi@{b.name}"):
        registry.load(f"rsi@{a.name}")


def test_damaged_model_is_listed_as_such_and_trained_again_is_whole(registry):
    ref = registry.store(table(), card())
    good = registry.store(other_table(), card())
    (registry.load(ref).folder / "card.json").write_text("{}")
    errors = {known: error for known, error in registry.cards() if isinstance(error, RegistryError)}
    assert list(errors) == [ref]
    assert len(registry.cards()) == 2
    assert [t.ref for t in registry.trials("da7a", ["AAPL"])] == [good]
    third = registry.store(table(), card(seed=3))
    (registry.load(third).folder / "weights.safetensors").write_bytes(b"")
    assert [t.ref for t in registry.trials("da7a", ["AAPL"])] == [good]
    registry.store(table(), card())
    assert registry.load(ref).model == table()


def test_failing_writer_leaves_the_former_model(registry, monkeypatch):
    ref = registry.store(table(), card())
    rename = Path.rename

    def fail_to_publish(path, target):
        if path.suffix == ".partial":
            raise OSError("full")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail_to_publish)
    with pytest.raises(OSError, match="full"):
        registry.store(table(), card(deflated_sharpe=0.1))
    assert registry.load(ref).card.deflated_sharpe == 0.96
    assert sorted(p.name for p in (registry.folder / "rsi").iterdir()) == [".lock", ref.partition("@")[2]]


def test_readers_beside_a_writer_see_whole_models_only(registry):
    ref = registry.store(table(), card(), {"n": b"0"})
    failed = []

    def write():
        for n in range(40):
            registry.store(table(), card(deflated_sharpe=n / 40), {"n": str(n).encode()})

    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive():
        try:
            assert registry.load(ref).model == table()
            assert [known for known, _ in registry.cards()] == [ref]
        except (RegistryError, AssertionError) as error:
            failed.append(error)
    writer.join()
    assert failed == []


def test_failing_writer_leaves_nothing_behind(registry, monkeypatch):
    registry.store(other_table(), card())
    before = sorted(p.name for p in (registry.folder / "rsi").iterdir())
    monkeypatch.setattr("pathlib.Path.rename", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        registry.store(table(), card())
    assert sorted(p.name for p in (registry.folder / "rsi").iterdir()) == before


def test_writers_of_the_same_and_of_other_models_at_once_leave_all_whole(registry):
    failed = []

    def write(seed):
        try:
            for _ in range(5):
                registry.store(table(), card(seed=seed % 2), {"sb3.zip": bytes([seed])})
        except (RegistryError, OSError) as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert [registry.load(ref).model for ref, _ in registry.cards("rsi")] == [table(), table()]
    assert not [p for p in (registry.folder / "rsi").rglob(".*") if p.name != ".lock"]


def test_name_means_the_promoted_version_and_else_the_versions_are_named(registry):
    a = registry.store(table(), card())
    b = registry.store(other_table(), card(created=datetime(2025, 1, 1, tzinfo=UTC)))
    with pytest.raises(RegistryError, match=r"no version of model 'rsi' is promoted.*" + a):
        registry.resolve("rsi")
    assert registry.versions("rsi") == [ref.partition("@")[2] for ref in (b, a)]  # the older first
    registry.promote(a)
    assert registry.resolve("rsi") == a
    assert registry.resolve(b[:10]) == b
    assert registry.resolve("rsi@latest") == a
    assert registry.load("rsi").card.ref == a


def test_unknown_models_are_refused_with_what_is_near(registry):
    ref = registry.store(table(), card())
    with pytest.raises(RegistryError, match="did you mean rsi"):
        registry.load("rsj")
    with pytest.raises(RegistryError, match=r"there are rsi$"):
        registry.load("zebra")
    with pytest.raises(RegistryError, match=f"no such version; there are {ref}"):
        registry.load("rsi@000000000000")
    for nothing in ("rsi@", "rsi@../rsi", "../rsi", ""):
        with pytest.raises(RegistryError):
            registry.load(nothing)
    with pytest.raises(StrategyLoadError, match="there are none"):
        Registry(registry.folder / "nowhere").load("rsi")


def test_trials_are_those_on_the_same_history_whatever_their_name(registry):
    refs = [
        registry.store(table(), card(name="a", instruments=["AAPL", "MSFT"])),
        registry.store(table(), card(name="b", instruments=["MSFT", "AAPL"], seed=3)),
    ]
    # one of the instruments, on data with another end: their test spans have days in common
    spans = {"test": {"start": "2012-01-01T00:00:00Z", "end": "2013-01-01T00:00:00Z"}}
    refs.append(registry.store(table(), card(name="c", data_hash="longer", spans=spans)))
    registry.store(table(), card(name="d", instruments=["GOOG"]))
    registry.store(table(), card(name="e", data_hash="other"))
    earlier = {"test": {"start": "2009-01-01T00:00:00Z", "end": "2010-01-01T00:00:00Z"}}
    registry.store(table(), card(name="f", data_hash="earlier", spans=earlier))
    test = {"start": "2012-12-31T00:00:00Z", "end": "2014-01-01T00:00:00Z"}
    trials = registry.trials("da7a", ["AAPL", "MSFT"], test)
    assert [t.ref for t in trials] == refs
    assert [t.test.sharpe for t in trials] == [0.8, 0.8, 0.8]
    assert [t.test.return_ for t in trials] == [0.1, 0.1, 0.1]
    assert [t.ref for t in registry.trials("da7a", ["AAPL", "MSFT"])] == refs[:2]


@pytest.mark.parametrize(
    ("model", "changes", "what"),
    [
        (table(), {"features": ["rsi_14"]}, "looks at 2 features, its card names 1"),
        (table(), {"features": ["rsi_14", "rsi_14"]}, "rsi_14 stands there twice"),
        (table(), {"actions": {"kind": "target", "size": {"units": 1}}}, "3 outputs, target actions take 1"),
        (network(), {}, "1 outputs, discrete actions take 3"),
    ],
)
def test_card_that_does_not_fit_its_model_is_not_stored(registry, model, changes, what):
    with pytest.raises(RegistryError, match=what):
        registry.store(model, card(**changes))
    assert registry.names() == []


@pytest.mark.parametrize("name", ["card.json", "weights.safetensors", "../x", ".hidden", "a/b", ""])
def test_file_beside_needs_a_plain_name_of_its_own(registry, name):
    with pytest.raises(RegistryError, match="plain name"):
        registry.store(table(), card(), {name: b""})


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"name": "a/b"}, "name"),
        ({"name": "rsi@1"}, "name"),
        ({"created": datetime(2026, 1, 1)}, "created"),  # noqa: DTZ001 - it is to be refused
        ({"features": []}, "features"),
        ({"timeframe_ns": 0}, "timeframe_ns"),
        ({"actions": {"kind": "discrete", "size": {"units": 1, "fraction": 1}}}, "actions.size: .*either"),
        ({"deflated_sharpe": float("nan")}, "deflated_sharpe"),
        ({"metrics": {"test": {"sharpe": float("inf")}}}, "metrics.test.sharpe"),
        ({"evaluation": {"costs": [1.0, {"x": float("nan")}]}}, r"evaluation.costs.*x.*finite number"),
        ({"more": [float("nan")]}, "more"),
    ],
)
def test_card_with_a_wrong_field_is_refused_by_its_name(changes, what):
    with pytest.raises(RegistryError, match=f"card: {what}"):
        card(**changes)


def test_further_keys_of_a_card_are_kept(registry):
    given = card(walk_forward=[{"fold": 1}], metrics={"test": {"return": 0.1, "sharpe_per_bar": 0.05}})
    loaded = registry.load(registry.store(table(), given)).card.to_json()
    assert loaded["walk_forward"] == [{"fold": 1}]
    assert loaded["metrics"]["test"]["sharpe_per_bar"] == 0.05
