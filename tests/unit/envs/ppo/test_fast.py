"""FastPPO against Stable-Baselines3's own PPO: the same rollouts, the same updates, the same files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import CallbackList
from stable_baselines3.common.logger import Logger

from envs.ppo.fast import FastPPO, TrainingError
from envs.ppo.vecenv import LaneVecEnv
from tests.unit.envs.ppo.toy import ToyLanes

pytestmark = pytest.mark.filterwarnings(
    "ignore:You have specified a mini-batch size"
)  # the last one is smaller
LANES, STEPS = 25, 40  # both odd to the threads and the minibatches, on purpose
VARIANTS = {
    "choices": {},
    "choices, entropy paid for": {"ent_coef": 0.1, "vf_coef": 0.3},
    "choices, relu": {"policy_kwargs": {"activation_fn": torch.nn.ReLU, "net_arch": [16, 8, 8]}},
    "choices, two different networks": {"policy_kwargs": {"net_arch": {"pi": [8], "vf": [24, 24]}}},
    "choices, advantages as they are": {"normalize_advantage": False, "max_grad_norm": 0.05},
    "choices, stopped by KL": {"target_kl": 1e-4, "learning_rate": 3e-3},
    "targets": {"target": True, "ent_coef": 0.05},
    "targets, relu": {"target": True, "policy_kwargs": {"activation_fn": torch.nn.ReLU}},
}


def model_of(kind: type[PPO], target: bool = False, seed: int = 3, **kwargs: Any) -> Any:
    env = LaneVecEnv(ToyLanes(LANES, target=target, seed=seed), target=target, short=True)
    settings: dict[str, Any] = {
        "n_steps": STEPS,
        "batch_size": 300,
        "n_epochs": 4,
        "seed": seed,
        "device": "cpu",
    } | kwargs
    model = kind("MlpPolicy", env, **settings)
    model.set_logger(Logger(None, []))
    model._last_obs = env.reset()
    model._last_episode_starts = np.ones(LANES, bool)
    return model


def collect(model: Any) -> None:
    callback = CallbackList([])
    callback.init_callback(model)
    model._current_progress_remaining = 0.5
    model.ep_info_buffer, model.ep_success_buffer = [], []
    assert model.collect_rollouts(model.env, callback, model.rollout_buffer, STEPS)


def parameters(model: Any) -> dict[str, np.ndarray[Any, Any]]:
    return {name: p.detach().numpy().copy() for name, p in model.policy.named_parameters()}


def as_stock(fast: Any, stock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the stock model the fast one's weights, rollout, and the orders in which it will shuffle."""
    stock.policy.load_state_dict(fast.policy.state_dict())
    for name in (
        "observations",
        "actions",
        "rewards",
        "episode_starts",
        "values",
        "log_probs",
        "advantages",
        "returns",
    ):
        setattr(stock.rollout_buffer, name, getattr(fast.rollout_buffer, name).copy())
    stock.rollout_buffer.full, stock.rollout_buffer.generator_ready = True, False
    orders = np.random.default_rng()
    orders.bit_generator.state = fast.generator.bit_generator.state

    def permutation(total: int) -> Any:
        # ours counts through the lanes of a step, the stock one through the steps of a lane
        step, lane = np.divmod(orders.permutation(total), LANES)
        return lane * STEPS + step

    monkeypatch.setattr(np.random, "permutation", permutation)


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_update_on_the_same_rollout_in_the_same_order_gives_the_stock_weights(
    variant: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    fast, stock = model_of(FastPPO, **variant), model_of(PPO, **variant)
    collect(fast)
    start = parameters(fast)
    for _ in range(2):  # the second with moments of its own in Adam
        as_stock(fast, stock, monkeypatch)
        stock.train()
        fast.train()
    assert fast._n_updates == stock._n_updates
    theirs = parameters(stock)
    for name, ours in parameters(fast).items():
        np.testing.assert_allclose(ours, theirs[name], rtol=0, atol=1e-5, err_msg=name)
    moved = max(np.abs(ours - start[name]).max() for name, ours in theirs.items())
    assert moved > (
        1e-3 if "target_kl" not in variant else 1e-5
    )  # the tolerance is far below what was learned


def test_losses_are_those_that_the_stock_update_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    # one epoch of one minibatch, so that means over samples and over minibatches are the same
    options: dict[str, Any] = {"n_epochs": 1, "batch_size": LANES * STEPS}
    fast, stock = model_of(FastPPO, **options), model_of(PPO, **options)
    collect(fast)
    as_stock(fast, stock, monkeypatch)
    fast.policy.action_net.bias.data += torch.tensor([0.5, -0.5, 0.0])  # so that ratios differ from one
    stock.policy.load_state_dict(fast.policy.state_dict())
    fast.train()
    stock.train()
    theirs = stock.logger.name_to_value
    for ours, name, sign in (
        ("policy", "policy_gradient_loss", 1),
        ("value", "value_loss", 1),
        ("entropy", "entropy_loss", -1),
        ("clipped", "clip_fraction", 1),
        ("kl", "approx_kl", 1),
    ):
        assert fast.losses[ours] == pytest.approx(sign * theirs[f"train/{name}"], rel=1e-4, abs=1e-6), ours
    assert 0 < fast.losses["clipped"] < 1


@pytest.mark.parametrize("target", [False, True])
def test_rollout_of_given_actions_is_the_stock_one(target: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    # The fast model decides; the stock one, in a world of the same seed, is made to decide the same.
    fast, stock = model_of(FastPPO, target=target), model_of(PPO, target=target)
    stock.policy.load_state_dict(fast.policy.state_dict())
    collect(fast)
    taken = iter(torch.from_numpy(fast.rollout_buffer.actions.copy()))

    def forward(obs: torch.Tensor, deterministic: bool = False) -> tuple[torch.Tensor, ...]:
        actions = next(taken)
        values, log_prob, _ = stock.policy.evaluate_actions(obs, actions if target else actions[:, 0])
        return actions if target else actions[:, 0], values, log_prob

    monkeypatch.setattr(stock.policy, "forward", forward)
    collect(stock)
    ours, theirs = fast.rollout_buffer, stock.rollout_buffer
    for name in ("observations", "actions", "episode_starts"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), err_msg=name)
    for name in ("rewards", "values", "log_probs", "advantages", "returns"):
        np.testing.assert_allclose(
            getattr(ours, name), getattr(theirs, name), rtol=0, atol=1e-5, err_msg=name
        )
    np.testing.assert_array_equal(fast._last_obs, stock._last_obs)
    np.testing.assert_array_equal(fast._last_episode_starts, stock._last_episode_starts)
    assert fast.num_timesteps == stock.num_timesteps == LANES * STEPS
    assert [(e["r"], e["l"]) for e in fast.ep_info_buffer] == [(e["r"], e["l"]) for e in stock.ep_info_buffer]
    assert fast.collected.episodes == len(stock.ep_info_buffer) > LANES


def test_choices_are_drawn_as_often_as_they_are_probable() -> None:
    model = model_of(FastPPO)
    model.policy.action_net.bias.data.copy_(torch.tensor([1.0, 0.0, -1.0]))
    model.policy.action_net.weight.data.zero_()
    n = 25
    drawn = np.zeros(3)
    actions, values, log_probs = np.zeros((n, 1), np.int64), np.zeros(n, np.float32), np.zeros(n, np.float32)
    for _ in range(800):
        model._decide(np.zeros((n, 4), np.float32), actions, values, log_probs)
        drawn += np.bincount(actions[:, 0], minlength=3)
    probable = np.exp([1.0, 0.0, -1.0]) / np.exp([1.0, 0.0, -1.0]).sum()  # 0.665, 0.245, 0.090
    # 20,000 draws: a standard error of at most 0.0034
    np.testing.assert_allclose(drawn / drawn.sum(), probable, rtol=0, atol=0.014)
    np.testing.assert_allclose(np.exp(log_probs), probable[actions[:, 0]], rtol=1e-5)


def test_targets_are_drawn_with_the_policys_mean_and_deviation() -> None:
    model = model_of(FastPPO, target=True)
    model.policy.action_net.bias.data.fill_(0.7)
    model.policy.action_net.weight.data.zero_()
    model.policy.log_std.data.fill_(-0.5)
    n = 25
    actions, values, log_probs = (np.zeros(s, np.float32) for s in ((n, 1), n, n))
    drawn = []
    for _ in range(800):
        model._decide(np.zeros((n, 4), np.float32), actions, values, log_probs)
        drawn.append(actions.copy())
    std = np.exp(-0.5)
    # 20,000 draws: standard errors of 0.0043 and 0.0030
    assert np.mean(drawn) == pytest.approx(0.7, abs=0.017)
    assert np.std(drawn) == pytest.approx(std, abs=0.012)
    density = np.exp(-0.5 * ((actions[:, 0] - 0.7) / std) ** 2) / (std * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(np.exp(log_probs), density, rtol=1e-4)


@pytest.mark.parametrize("target", [False, True])
def test_same_seed_gives_the_same_weights_and_another_seed_others(target: bool) -> None:
    def trained(seed: int) -> Any:
        return model_of(FastPPO, target=target, seed=seed).learn(2 * LANES * STEPS).weights()

    np.testing.assert_array_equal(trained(5), trained(5))
    assert not np.array_equal(trained(5), trained(6))


def test_saved_model_is_loaded_by_the_stock_class_and_by_its_own(tmp_path: Path) -> None:
    model = model_of(FastPPO).learn(LANES * STEPS)
    model.save(tmp_path / "model.zip")
    seen = np.random.default_rng(0).standard_normal((500, 4)).astype(np.float32)
    expected, _ = model.predict(seen, deterministic=True)
    for kind in (PPO, FastPPO):
        loaded = kind.load(tmp_path / "model.zip", device="cpu")
        np.testing.assert_array_equal(loaded.predict(seen, deterministic=True)[0], expected)
    again = FastPPO.load(tmp_path / "model.zip", env=model.env, device="cpu")
    np.testing.assert_array_equal(again.weights(), model.weights())
    before = again.weights()
    again.learn(LANES * STEPS)
    assert not np.array_equal(again.weights(), before)  # its parameters are still what is trained


def test_training_learns_what_the_toy_rewards() -> None:
    model = model_of(FastPPO, learning_rate=3e-3, batch_size=500)
    first = None
    for _ in range(16):
        model.learn(LANES * STEPS, reset_num_timesteps=False)
        first = model.collected.reward if first is None else first
    # to buy above 0 and to sell below earns E|x| = sqrt(2 / pi) = 0.80 a step
    assert abs(first or 0.0) < 0.1
    assert model.collected.reward > 0.7


def test_rewards_that_are_no_numbers_end_the_training_with_an_error() -> None:
    model = model_of(FastPPO)
    collect(model)
    model.rollout_buffer.returns[3, 3] = np.nan
    with pytest.raises(TrainingError, match="value loss is nan: lower the learning rate"):
        model.train()


def test_what_the_fast_one_does_not_do_is_refused() -> None:
    with pytest.raises(ValueError, match="neither gSDE nor a clipped value function"):
        model_of(FastPPO, clip_range_vf=0.2)
    with pytest.raises(ValueError, match="knows tanh and relu"):
        model_of(FastPPO, policy_kwargs={"activation_fn": torch.nn.ELU})
    model = model_of(FastPPO)
    with pytest.raises(ValueError, match="steps a LaneVecEnv, not a str"):
        model.collect_rollouts("no environment", CallbackList([]), model.rollout_buffer, STEPS)
