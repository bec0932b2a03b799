"""The registry of models: models/NAME/VERSION/ holds weights.safetensors, card.json and what else was kept beside.

VERSION is a hash of the weights and of what led to them, so that the same training is the same model, and a model that
was changed is noticed. A folder is written under a hidden name and renamed when it is whole; writers of one name take
turns. `NAME@VERSION` is a model; `NAME` alone is the promoted version, `NAME@latest` the one that was trained last.
"""

from __future__ import annotations

import fcntl
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from engine.models import Model
from strategies.errors import RegistryError
from strategies.models import card as cards
from strategies.models import promotions, weights
from strategies.models.card import Card, Metrics
from strategies.models.files import replace_file, sync_folder
from strategies.models.promotions import Promotion

LOCK_NAME = ".lock"
DEFLATED_SHARPE = 0.95  # the bar of a promotion, where no configuration has another
LATEST = "latest"  # in place of a version, which is hexadecimal: the one that was trained last


@dataclass(frozen=True)
class LoadedModel:
    """A model with its card; folder: where both lie, with the files that were kept beside."""

    model: Model
    card: Card
    folder: Path

    @property
    def ref(self) -> str:
        """Its name for `use: model:NAME`."""
        return self.card.ref


@dataclass(frozen=True)
class Trial:
    """What a model that the registry knows of did on the spans that it was not trained on."""

    ref: str
    validation: Metrics
    test: Metrics


class Registry:
    """The models in a folder, which need not be there before the first is stored."""

    def __init__(self, folder: Path | str = "models") -> None:
        self.folder = Path(folder)

    def names(self) -> list[str]:
        """Names of models, sorted."""
        return [path.name for path in _folders(self.folder)]

    def versions(self, name: str) -> list[str]:
        """The versions of a model, the oldest first. Raises RegistryError where there is no such model."""
        return [ref.partition("@")[2] for ref, _ in self.cards(name)]

    def cards(self, name: str | None = None) -> list[tuple[str, Card | RegistryError]]:
        """The reference and card of each version, of one model or all, the oldest of each name first.

        Where a card cannot be used, what is wrong with it stands in its place, before the others of its name.
        """
        found = []
        for known in self.names() if name is None else [self._known(name)]:
            with self._reading(known):
                read = [
                    (f"{known}@{path.name}", _card_or_error(path)) for path in _folders(self.folder / known)
                ]
            found += sorted(read, key=lambda pair: _created(pair[1]))
        return found

    def resolve(self, ref: str) -> str:
        """The NAME@VERSION that is meant by it, by the beginning of a version, by NAME@latest, or by NAME: the promoted one.

        Raises RegistryError, with what there is, where it means none, or several.
        """
        name, at, version = ref.partition("@")
        with self._reading(self._known(name)):
            known = [path.name for path in _folders(self.folder / name)]
        if not at:
            promoted = self.promoted(name)
            if promoted is None:
                raise RegistryError(
                    f"no version of model {name!r} is promoted; write one of {_refs(name, known)}, or promote one"
                )
            version = promoted
        elif version == LATEST:
            version = self.versions(name)[-1] if known else ""
        meant = [v for v in known if version and v.startswith(version)]
        if len(meant) != 1:
            problem = "several versions begin so" if meant else "there is no such version"
            raise RegistryError(f"model {name}@{version}: {problem}; there are {_refs(name, meant or known)}")
        return f"{name}@{meant[0]}"

    def load(self, ref: str) -> LoadedModel:
        """The model that `ref` means. Raises RegistryError where there is none, or it is not what was stored."""
        name, _, version = self.resolve(ref).partition("@")
        folder = self.folder / name / version
        with self._reading(name):
            loaded = load_folder(folder)
        if loaded.ref != f"{name}@{version}":
            raise RegistryError(f"{folder}: holds {loaded.ref}; put it back under its own name and version")
        return loaded

    def store(self, model: Model, card: Card, extra_files: Mapping[str, Path | bytes] | None = None) -> str:
        """Put a model into the registry; its NAME@VERSION.

        extra_files: names -> files (or what is to be in them) to be kept beside, such as sb3.zip. A model that is there
        already keeps its promotion; its card and files become these, with their date and what was measured last.
        Raises RegistryError where the card does not fit the model.
        """
        cards.check_model(card, model)
        data = weights.to_bytes(model)
        contents = {weights.FILE_NAME: data}
        for name, content in (extra_files or {}).items():
            if (
                not name
                or Path(name).name != name
                or name.startswith(".")
                or name in (*contents, cards.FILE_NAME)
            ):
                raise RegistryError(
                    f"{name!r} cannot be kept beside a model; give it a plain name of its own"
                )
            contents[name] = content if isinstance(content, bytes) else content.read_bytes()
        version = card.version_of(data)
        files = {name: cards.digest(content) for name, content in contents.items()}
        with self._writing(card.name) as folder:
            told = [entry for entry in promotions.read(folder) if entry.version == version]
            kept = {
                "promotion": told[-1].to_json() if told else None,
            }
            card = card.model_copy(update={"version": version, "files": files, **kept}).with_checksum()
            _publish(folder / version, contents | {cards.FILE_NAME: cards.card_bytes(card)})
        return card.ref

    def promoted(self, name: str) -> str | None:
        """The version that `name` alone means; None where none is promoted."""
        current = promotions.standing(promotions.read(self.folder / name))
        return current[-1].version if current else None

    def promotions(self, name: str) -> list[Promotion]:
        """Every promotion and rollback of a model, the oldest first."""
        return promotions.read(self.folder / self._known(name))

    def promote(self, ref: str, min_deflated_sharpe: float | None = None, force: bool = False) -> Promotion:
        """Make a version what its name alone means.

        min_deflated_sharpe: the bar; None: that of the configuration that the model was trained by, or 0.95. Raises RegistryError where its controls did not pass, or its deflated Sharpe ratio is below the bar or unknown,
        unless forced: then the record and the card say so.
        """
        card = self.load(ref).card
        if min_deflated_sharpe is None:
            configured: Any = card.config.get("evaluation")
            min_deflated_sharpe = float((configured or {}).get("min_deflated_sharpe", DEFLATED_SHARPE))
        against = promotions.objections(card, min_deflated_sharpe)
        if against and not force:
            raise RegistryError(
                f"{card.ref} is not promoted: {'; '.join(against)}; train a better one, or use --force"
            )
        with self._writing(card.name) as folder:
            return _enter(folder, card.version, "promote", against)

    def rollback(self, name: str) -> Promotion:
        """Make the version that was promoted before what the name alone means again. Raises RegistryError without one."""
        with self._writing(self._known(name)) as folder:
            entries = promotions.standing(promotions.read(folder))
            if len(entries) < 2:
                had = f"{name}@{entries[0].version} is the first" if entries else "none is promoted"
                raise RegistryError(f"model {name!r} cannot be rolled back: {had}; promote another version")
            before = entries[-2]
            return _enter(folder, before.version, "rollback", before.overridden)

    def trials(
        self, data_hash: str, instruments: Sequence[str], test: Mapping[str, str] | None = None
    ) -> list[Trial]:
        """What each model did that was judged on history which these data have, too, whatever its name: the trials so far.

        That is a model with one of the instruments, trained on the same data, or with a test span that has days in common
        with `test`, {"start": ..., "end": ...} in ISO: a history that is a day longer is no new one. Models that are damaged
        are left out, as nobody can say what they were trained on.
        """
        known = [(ref, self._intact(ref)) for ref, _ in self.cards()]
        return [
            Trial(ref, card.metric("validation"), card.metric("test"))
            for ref, card in known
            if card is not None
            and set(card.instruments) & set(instruments)
            and (card.data_hash == data_hash or _overlap(card.spans.get("test"), test))
        ]

    def _intact(self, ref: str) -> Card | None:
        name, _, version = ref.partition("@")
        with self._reading(name):
            return _intact(self.folder / name / version)

    def _known(self, name: str) -> str:
        names = self.names()
        if name in names:
            return name
        if not re.match(cards.NAME_PATTERN, name):
            raise RegistryError(f"{name!r} is no name of a model; write NAME or NAME@VERSION")
        near = get_close_matches(name, names, 2)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names) or 'none'}"
        raise RegistryError(f"there is no model {name!r} in {self.folder}; {hint}")

    @contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        # while nobody writes into the model's folder; where nobody ever did, such as in a copy, there is no lock
        try:
            file = (self.folder / name / LOCK_NAME).open()
        except FileNotFoundError:
            yield
            return
        with file:
            fcntl.flock(file, fcntl.LOCK_SH)
            yield

    @contextmanager
    def _writing(self, name: str) -> Iterator[Path]:
        # the model's folder, while no other process writes into it
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / LOCK_NAME).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield folder


def load_folder(folder: Path) -> LoadedModel:
    """The model in a folder, inside a registry or not. Raises RegistryError where it is not what was stored."""
    card = cards.read_card(folder / cards.FILE_NAME)
    data = b""
    for name, expected in card.files.items():
        try:
            content = (folder / name).read_bytes()
        except OSError as error:
            raise RegistryError(
                f"{folder / name}: cannot be read: {error.strerror}; {cards.RESTORE}"
            ) from None
        if cards.digest(content) != expected:
            raise RegistryError(f"{folder / name}: was changed since it was written; {cards.RESTORE}")
        if name == weights.FILE_NAME:
            data = content
    if card.version_of(data) != card.version:
        raise RegistryError(f"{folder}: its content is not that of version {card.version!r}; {cards.RESTORE}")
    model = weights.from_bytes(data, str(folder / weights.FILE_NAME))
    cards.check_model(card, model)
    return LoadedModel(model, card, folder)


def _enter(
    folder: Path, version: str, how: Literal["promote", "rollback"], against: tuple[str, ...]
) -> Promotion:
    # the record decides, the card only tells
    card = load_folder(folder / version).card
    entry = Promotion.now(version, how, against)
    promotions.append(folder, entry)
    told = card.model_copy(update={"promotion": entry.to_json()}).with_checksum()
    replace_file(folder / version / cards.FILE_NAME, cards.card_bytes(told))
    return entry


def _publish(target: Path, contents: Mapping[str, bytes]) -> None:
    # what is there already gives way at once
    hidden = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
    former = hidden.with_suffix(".former")
    try:
        hidden.mkdir()
        for name, content in contents.items():
            replace_file(hidden / name, content)
        if target.exists():
            target.rename(former)
        hidden.rename(target)
        sync_folder(target.parent)
    except BaseException:
        if former.exists() and not target.exists():
            former.rename(target)
        raise
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
        shutil.rmtree(former, ignore_errors=True)


def _intact(folder: Path) -> Card | None:
    try:
        return load_folder(folder).card
    except RegistryError:
        return None


def _folders(folder: Path) -> list[Path]:
    # hidden ones are being written
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _card_or_error(folder: Path) -> Card | RegistryError:
    try:
        return cards.read_card(folder / cards.FILE_NAME)
    except RegistryError as error:
        return error


def _created(card: Card | RegistryError) -> float:
    return card.created.timestamp() if isinstance(card, Card) else float("-inf")


def _overlap(one: Any, other: Any) -> bool:
    return bool(one and other and one["start"] <= other["end"] and other["start"] <= one["end"])


def _refs(name: str, versions: Sequence[str]) -> str:
    return ", ".join(f"{name}@{version}" for version in versions) or "none"
