"""What the configuration of a training means: a task for the agent, and the market of each instrument."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from daemon.config import learning
from daemon.config.agent_specs import limits_spec, margin_spec, size_of
from daemon.config.risk_specs import of_instrument
from daemon.config.spec import market_spec
from daemon.config.timeframes import in_ns
from daemon.config.types import ns_of

if TYPE_CHECKING:
    from daemon.config.training import TrainingConfig
    from engine.spec import EngineSpec
    from envs.ppo.settings import PPOSettings
    from envs.qlearning.trainer import QSettings
    from envs.task import Market, Task

ACCOUNT = "agent"


def task(config: TrainingConfig) -> Task:
    """What the agent is to learn; its features are named as the engine names them."""
    from engine.spec import AccountSpec
    from envs.task import Actions, Reward, RewardKind, Task

    account = config.account
    reward = config.reward.model_dump(exclude={"kind"})
    size = size_of(config.actions.size)
    return Task(
        account=AccountSpec(
            ACCOUNT, account.cash, account.currency, limits_spec(account.limits), margin_spec(account.margin)
        ),
        timeframe_ns=config.timeframe,
        features=tuple(in_ns(feature) for feature in config.features),
        actions=Actions(
            target=config.actions.kind == "target",
            short=config.actions.short,
            size_kind=size["size_kind"],
            size=size["size_value"],
            threshold=config.actions.threshold,
        ),
        reward=Reward(kind=RewardKind[config.reward.kind.upper()], **reward),
        episode_bars=config.episode_bars or 0,
        ruin=config.ruin,
    )


def markets(config: TrainingConfig) -> dict[str, Market]:
    """Each instrument that there are data of, by name, in the order of the data."""
    from envs.task import Market

    whole = market_spec(config, config.currencies)
    of_name = {i.name: i for i in whole.instruments}
    return {
        name: Market(of_name[name], whole.scales, whole.calendars, of_instrument(whole.risk, name))
        for name in config.traded
    }


def settings(config: TrainingConfig) -> PPOSettings | QSettings:
    """What the trainer of its algorithm is told; how a table's bins are made is told to those who make them."""
    from envs.ppo.settings import PPOSettings
    from envs.qlearning.schedules import Schedule
    from envs.qlearning.trainer import QSettings

    kind = PPOSettings if config.algorithm == "ppo" else QSettings
    given = {field.name: getattr(config.settings, field.name) for field in fields(kind)}
    for name, value in given.items():
        if isinstance(value, learning.Schedule):
            given[name] = Schedule(value.start, value.end, value.share, value.kind)
    return kind(**given)


def engine_spec(config: TrainingConfig) -> EngineSpec:
    """The engine of an episode in the first instrument."""
    from engine.records import NO_TIME

    made = task(config)
    name, market = next(iter(markets(config).items()))
    trade_from = ns_of(config.start) if config.start else NO_TIME
    return market.spec(made, made.strategy(name, made.features), trade_from=trade_from)
