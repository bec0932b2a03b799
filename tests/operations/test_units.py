"""The units under deploy/systemd hold together, are shut tight, and name commands and paths that the program has."""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from daemon.cli import app
from daemon.control_cli import COMMANDS

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "deploy" / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
TIMERS = sorted(UNITS.glob("*.timer"))
PAGE = (ROOT / "docs" / "installation.md").read_text()
PROGRAM = "/opt/papertape/bin/papertape"
SESSIONS = ("papertape.service", "papertape@.service")
EXPOSED_AT_MOST = 1.5

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None,
    reason="systemd is not installed; on Debian: apt-get install systemd",
)


def settings(unit: Path, section: str = "Service") -> list[tuple[str, str]]:
    """The keys of a section and their values, in order; a key may come more than once."""
    found, here = [], ""
    for line in unit.read_text().splitlines():
        if line.startswith("["):
            here = line.strip("[]")
        elif here == section and line and not line.startswith("#"):
            key, equals, value = line.partition("=")
            assert equals, f"{unit.name}: {line}"
            found.append((key, value))
    return found


def values(unit: Path, key: str) -> list[str]:
    return [value for name, value in settings(unit) if name == key]


def commands(unit: Path) -> list[list[str]]:
    """The lines with which a unit starts our program, without their prefixes."""
    lines = [value.lstrip("-+@!:") for key, value in settings(unit) if key.startswith("Exec")]
    split = [shlex.split(line.replace("$(date", "date").replace(")", "")) for line in lines]
    inner = [
        shlex.split(words[2].removeprefix("exec ")) if words[0] == "/bin/sh" else words for words in split
    ]
    return [words for words in inner if words[0] == PROGRAM]


def of_page() -> Iterator[list[str]]:
    """The commands of our program in the blocks of the installation page."""
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if found := re.search(r"(?:^|-- |bin/)papertape ([a-z].*)", line.split(" #")[0]):
                yield ["papertape", *shlex.split(found[1])]


def check_command(words: list[str]) -> None:
    """There is such a command, it has these options, and takes so many arguments."""
    command = typer.main.get_command(app)
    rest = words[1:]
    while hasattr(command, "commands"):
        assert rest[0] in command.commands, f"there is no command {rest[0]}: {' '.join(words)}"
        command = command.commands[rest.pop(0)]
    options = {name: p for p in command.params for name in p.opts if name.startswith("--")}
    places = [p for p in command.params if p.param_type_name == "argument"]
    given = 0
    while rest:
        word = rest.pop(0)
        if word.startswith("--"):
            assert word in options, f"{words[1]} has no option {word}"
            if not getattr(options[word], "is_flag", False):
                rest.pop(0)
        else:
            given += 1
    most = sum(10**6 if p.nargs == -1 else p.nargs for p in places)
    least = sum(p.nargs if p.required and p.nargs > 0 else 0 for p in places)
    assert least <= given <= most, f"{' '.join(words)}: {given} arguments, wanted {least} to {most}"


def test_units_that_were_promised_are_there() -> None:
    names = {path.name for path in (*SERVICES, *TIMERS)}
    kinds = ("train", "fetch", "drill", "backup")
    assert names == {
        *SESSIONS,
        "papertape-doctor@.service",
        *(f"papertape-{k}@.{what}" for k in kinds for what in ("service", "timer")),
    }


@needs_systemd
@pytest.mark.parametrize("unit", [*SERVICES, *TIMERS], ids=lambda unit: unit.name)
def test_systemd_finds_nothing_wrong(unit: Path, tmp_path: Path) -> None:
    for path in (
        *SERVICES,
        *TIMERS,
    ):  # a timer starts its service; the program is not installed where tests run
        (tmp_path / path.name).write_text(path.read_text().replace(PROGRAM, "/bin/true"))
    command = ["systemd-analyze", "verify", "--man=no", str(tmp_path / unit.name)]
    found = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)
    about_us = [line for line in (found.stdout + found.stderr).splitlines() if "papertape" in line]
    assert (found.returncode, about_us) == (0, [])


@needs_systemd
@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_exposure_is_low(unit: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    level = re.search(r"Overall exposure level for .*: ([0-9.]+)", found.stdout)
    assert level is not None, found.stdout
    assert float(level[1]) <= EXPOSED_AT_MOST


def sandbox(unit: Path) -> list[tuple[str, str]]:
    """What a service may do, but for the network and the mask of its files."""
    found = settings(unit)
    first = next(i for i, (key, _) in enumerate(found) if key == "MemoryDenyWriteExecute")
    apart = ("UMask", "RestrictAddressFamilies", "PrivateNetwork", "IPAddressDeny")
    return [(key, value) for key, value in found[first:] if key not in apart]


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_all_services_are_shut_alike(unit: Path) -> None:
    assert sandbox(unit) == sandbox(UNITS / "papertape.service")
    assert len(sandbox(unit)) > 25
    text = unit.read_text()
    assert "numba (LLVM) writes machine code and then runs it" in text.split("MemoryDenyWriteExecute=no")[0]


def test_units_of_one_and_of_several_sessions_differ_in_the_name_only() -> None:
    one, several = (settings(UNITS / name) for name in SESSIONS)
    places = (
        ("/etc/papertape/papertape.", "/etc/papertape/%i."),
        ("papertape/sessions/papertape", "papertape/sessions/%i"),
        ("papertape/papertape", "papertape/%i"),
    )

    def named(value: str) -> str:
        for alone, instance in places:
            value = value.replace(alone, instance)
        return value

    assert [(key, named(value)) for key, value in one if value != PROGRAM] == [
        (key, named(value)) for key, value in several
    ]


def test_every_oneshot_has_a_timer_that_makes_up_for_what_it_missed() -> None:
    for timer in TIMERS:
        assert timer.with_suffix(".service").exists()
        told = dict(settings(timer, "Timer"))
        assert told["Persistent"] == "yes"
        assert told["OnCalendar"].endswith(" UTC")
        assert dict(settings(timer, "Install")) == {"WantedBy": "timers.target"}


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_unit_starts_commands_that_the_program_has(unit: Path) -> None:
    found = commands(unit)
    assert found
    for words in found:
        check_command(words)


def test_page_shows_commands_that_the_program_has() -> None:
    found = list(of_page())
    assert {words[1] for words in found} >= {"config", "data", "db", "restore", "verify"}
    for words in found:
        check_command(words)
    assert {words[1] for words in found} >= {
        command.__name__ for command in COMMANDS
    }  # by which it is operated


def test_page_names_all_units_and_only_paths_that_they_have() -> None:
    for unit in (*SERVICES, *TIMERS):
        stem = unit.name.split("@")[0].removesuffix(".service")
        assert stem in PAGE, f"{unit.name} is not in docs/installation.md"
    texts = (
        "".join(unit.read_text() for unit in SERVICES).replace("%S", "/var/lib").replace("%C", "/var/cache")
    )
    folders = [*re.findall(r"(?:StateDirectory)=(\S+)", texts)]
    known = {
        "/var/lib/papertape",
        "/var/cache/papertape",
        "/run/papertape",
        *(f"/var/lib/{f}" for f in folders),
    }
    known = {path.removesuffix("/%i") for path in known}
    for path in set(re.findall(r"(?:/var/lib|/var/cache|/run)/papertape[a-z/]*", PAGE)):
        assert any(path.rstrip("/").startswith(k) for k in known), f"{path} is in no unit"
        parts = path.rstrip("/").split("/")
        if len(parts) > 4 and parts[2] == "lib":
            assert "/".join(parts[:5]) in known, f"{path} is in no unit"


# ---- the unit's own line, by hand


class Unit:
    """papertape.service as systemd would start it, below a folder of ours."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.service = UNITS / "papertape.service"
        self.specifiers = {"%S": folder / "lib", "%C": folder / "cache", "%d": folder / "credentials"}
        own = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("NUMBA", "PAPERTAPE", "FINNHUB"))
        }
        self.environment = own
        kinds = {"State": "lib", "Cache": "cache", "Runtime": "run", "Configuration": "etc"}
        for kind, place in kinds.items():
            path = folder / place / values(self.service, f"{kind}Directory")[0]
            path.mkdir(parents=True, exist_ok=True)
            self.environment[f"{kind.upper()}_DIRECTORY"] = str(path)
        for value in values(self.service, "Environment"):
            name, _, text = value.partition("=")
            self.environment[name] = self.place(text)
        (folder / "credentials").mkdir()
        (folder / "credentials" / "finnhub").write_text("\n")  # as SetCredential= has it
        self.notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notified.bind(str(folder / "notify"))
        self.notified.settimeout(300)
        self.environment["NOTIFY_SOCKET"] = str(folder / "notify")
        # the compiled engine is the tests' own: it takes a minute to make
        self.environment["CACHE_DIRECTORY"] = str(
            Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "papertape"
        )

    def place(self, text: str) -> str:
        for specifier, path in self.specifiers.items():
            text = text.replace(specifier, str(path))
        return text.replace("/etc/papertape", f"{self.folder}/etc/papertape")

    def words(self, key: str) -> list[str]:
        line = self.place(values(self.service, key)[0]).replace(PROGRAM, f"{sys.executable} -m daemon.cli")
        return shlex.split(line)

    def start(self) -> subprocess.Popen[str]:
        folder = Path(self.place(values(self.service, "WorkingDirectory")[0]))
        pipe = subprocess.PIPE
        return subprocess.Popen(
            self.words("ExecStart"), cwd=folder, env=self.environment, stdout=pipe, stderr=pipe, text=True
        )

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words, check=False, env=self.environment, capture_output=True, text=True, timeout=60
        )

    def until(self, wanted: str) -> None:
        while wanted not in self.notified.recv(4096).decode().splitlines():
            pass


def test_session_starts_reloads_and_ends_as_the_unit_says(tmp_path: Path) -> None:
    unit = Unit(tmp_path)
    config = tmp_path / "etc" / "papertape" / "papertape.yaml"
    text = (ROOT / "configs" / "paper" / "replay.yaml").read_text()
    text = re.sub(r"(?m)^name: .*\n", "", text).replace("../backtest", str(ROOT / "configs" / "backtest"))
    text = re.sub(r"(?m)^  speed: \S+", "  speed: 1000", text)
    config.write_text(text + "\nservice: {listen: null}\n" if "\nservice:" not in text else text)
    session = unit.start()
    try:
        unit.until("READY=1")
        told = unit.run(sys.executable, "-m", "daemon.cli", "status", "--json", "--config", str(config))
        assert told.returncode == 0, told.stderr
        assert json.loads(told.stdout)["session"] == "papertape"
        assert (tmp_path / "run/papertape/papertape/papertape.sock").is_socket()
        assert (tmp_path / "lib/papertape/sessions/papertape/papertape.db").is_file()
        config.write_text(
            config.read_text().replace("max_order_notional: 40000", "max_order_notional: 39000")
        )
        reloaded = unit.run(*unit.words("ExecReload"))
        assert (reloaded.returncode, "max_order_notional" in reloaded.stdout) == (0, True), reloaded.stderr
        config.write_text("nonsense: 1\n")
        refused = unit.run(*unit.words("ExecReload"))
        assert refused.returncode != 0
        began = time.monotonic()
        session.send_signal(signal.SIGTERM)
        _, said = session.communicate(timeout=90)
        assert session.returncode == 0, said
        assert time.monotonic() - began < int(values(unit.service, "TimeoutStopSec")[0])
    finally:
        session.kill()
        session.wait()
        unit.notified.close()


def test_wrong_configuration_ends_with_the_code_that_is_not_tried_again(tmp_path: Path) -> None:
    unit = Unit(tmp_path)
    (tmp_path / "etc" / "papertape" / "papertape.yaml").write_text("accounts: []\n")
    session = unit.start()
    _, said = session.communicate(timeout=60)
    unit.notified.close()
    assert str(session.returncode) in values(unit.service, "RestartPreventExitStatus")
    assert "papertape.yaml" in said
