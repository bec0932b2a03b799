"""Why a replay gives something else than was recorded: what differs between then and now, asked in a fixed order."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from daemon.live.content import Content, hash_of
from daemon.verify.facts import Cause, Kind, NotReplayable

if TYPE_CHECKING:
    from daemon.live.core import Core
    from daemon.store.batch import Payload
    from daemon.store.store import Epoch


class Known:
    """What is known of an epoch while it is replayed."""

    def __init__(self, epoch: Epoch, build: str, core: Core) -> None:
        self.epoch = epoch
        self.build = build
        self.core = core
        self.sound = epoch.first_seq - 1  # the last input after which the states were seen to agree
        self.causes: list[Cause] = []
        self._texts = [core.content.text]  # configurations that it ran with
        if epoch.build != build:
            self.causes.append(
                Cause(
                    Kind.BUILD,
                    f"epoch {epoch.number} ran on build {epoch.build} of the engine, and this is {build}",
                )
            )

        self._held(epoch.first_seq)

    def agreed(self, seq: int) -> None:
        """After that input the states were the same."""
        self.sound = seq

    def hear(self, payloads: Sequence[Payload]) -> None:
        """Payloads that tell with what the session went on. Raises NotReplayable where they contradict themselves.

        Of a batch that the Core has taken: it has read the same settings.
        """
        for p in payloads:
            if p.kind == "settings":
                self._texts.append(p.content["config"])
            if p.kind not in ("start", "settings"):
                continue
            models, code, then = (p.content[name] for name in ("models", "code", "hash"))
            # a start in the middle of an epoch goes on with what was read last
            texts = self._texts[-1:] if p.kind == "settings" else [self.epoch.config, *self._texts]
            if all(content_hash(text, models, code) != then for text in texts):
                raise NotReplayable(
                    Kind.CONFIGURATION,
                    f"the configuration that input {p.seq} tells of is not the one that was read then, whose hash was {then}",
                )
            if p.kind == "settings":
                self._held(p.seq)

    @property
    def ran_with_its_configuration(self) -> bool:
        """Whether the stored configuration is one that it was seen to run with."""
        return self.epoch.config in self._texts

    def finish(self) -> None:
        """At the end of the epoch. Raises NotReplayable where it never ran with the configuration that is stored."""
        if not self.ran_with_its_configuration:
            raise NotReplayable(
                Kind.CONFIGURATION,
                f"the configuration of epoch {self.epoch.number} in the database is not one that it ran with "
                f"({first_change(self._texts[-1], self.epoch.config)})",
            )

    def _held(self, seq: int) -> None:
        """Hold the models and the code that it went on with from that input against those that there are now."""
        then = self.core.content
        now = Content.of(then.config)
        for kind, what, was, is_ in (
            (Kind.MODEL, "the model", then.models, now.models),
            (Kind.STRATEGY, "code with the hash", then.code, now.code),
        ):
            for name, old in was.items():
                if is_.get(name) != old:
                    why = f"{name} ran with {what} {old} from input {seq} on, and now there is {is_.get(name, 'none')}"
                    self.causes.append(Cause(kind, why))


def content_hash(text: str, models: Mapping[str, str], code: Mapping[str, str]) -> str:
    """The hash of a configuration with its models and code, as `daemon.live.content.Content` has it."""
    return hash_of(text + json.dumps([models, code], sort_keys=True))


def first_change(then: str, now: str) -> str:
    """The first lines in which two texts differ."""
    was, is_ = then.splitlines(), now.splitlines()
    for k in range(max(len(was), len(is_))):
        a, b = (lines[k].strip() if k < len(lines) else "nothing" for lines in (was, is_))
        if a != b:
            return f"line {k + 1}: {b!r}, then {a!r}"
    return "they differ in white space"


def likely(known: Known, seq: int, same: bool | None, at: int) -> Cause:
    """The likely cause of a difference at input `seq`.

    same: whether the states at the next snapshot, after input `at`, agree; None: there is none after it.
    """
    if same:
        return Cause(
            Kind.ROWS,
            f"the replay reaches the state that was recorded after input {at}: what was decided is the same, and the row was "
            "changed in the database",
        )
    if not known.ran_with_its_configuration:
        return Cause(
            Kind.CONFIGURATION, f"the configuration of epoch {known.epoch.number} in the database was changed"
        )
    if known.causes:
        return known.causes[-1]  # a strategy's code says more than the build that it ran on
    between = f"between inputs {known.sound + 1} and {seq}" if seq > known.sound else f"up to input {seq}"
    if same is None:
        return Cause(
            Kind.UNKNOWN,
            "configuration, models and engine are those of then, and no state was recorded after it to tell: the tape "
            f"{between}, or the row, was changed",
        )
    return Cause(
        Kind.TAPE,
        f"configuration, models and engine are those of then, and the states agree after input {known.sound}: the tape "
        f"{between} is not the one that was decided on",
    )
