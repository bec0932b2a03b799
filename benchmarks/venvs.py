"""One virtual environment for each system that the benchmark compares with: their dependencies contradict each other.

    python -m benchmarks.venvs [NAME ...]

They lie under `.bench/` in the repository (3.5 GB for all five), which keeps itself out of git. An environment
that was made from the same pins is left as it is.
"""

import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path

PEERS = Path(__file__).parent / "peers"
HOME = Path(__file__).parents[1] / ".bench"
NAMES = sorted(path.stem.removeprefix("requirements-") for path in PEERS.glob("requirements-*.txt"))


def python_of(name: str) -> Path | None:
    """The interpreter of a finished environment; None where there is none, or one of other pins."""
    mark = HOME / name / "made-from"
    return HOME / name / "bin" / "python" if mark.is_file() and mark.read_text() == _pins(name) else None


def make(name: str) -> str | None:
    """Makes one environment; None when it stands, else what went wrong."""
    folder = HOME / name
    HOME.mkdir(exist_ok=True)
    (HOME / ".gitignore").write_text("*\n")
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    install = [
        str(folder / "bin" / "python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    done = subprocess.run(
        [*install, "--requirement", str(_requirements(name))], capture_output=True, text=True, check=False
    )
    if done.returncode:
        shutil.rmtree(folder)
        said: list[str] = done.stderr.strip().splitlines()
        return said[-1] if said else "pip failed and said nothing"
    (folder / "made-from").write_text(_pins(name))
    return None


def main(names: list[str]) -> int:
    """Makes those that are missing, says a line about each; 1 if one could not be made, 2 on an unknown name."""
    if unknown := sorted(set(names) - set(NAMES)):
        print(f"no such system: {', '.join(unknown)}; there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    failed = 0
    for name in names or NAMES:
        if python_of(name):
            print(f"{name}: there already")
        elif (trouble := make(name)) is None:
            print(f"{name}: installed in {HOME.name}/{name}")
        else:
            print(f"{name}: cannot be installed here: {trouble}")
            failed = 1
    return failed


def _requirements(name: str) -> Path:
    return PEERS / f"requirements-{name}.txt"


def _pins(name: str) -> str:
    return hashlib.sha256(_requirements(name).read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
