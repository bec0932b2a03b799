"""Where the compiled engine is kept, and what its place depends on."""

import os
import time
from pathlib import Path
from typing import Any

import numba
import pytest

from daemon import compiled

settings: Any = numba.config


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "CACHE_DIR", "")
    monkeypatch.setattr(settings, "DISABLE_JIT", 0)
    monkeypatch.setattr(compiled, "_told", set())
    monkeypatch.delenv("CACHE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))


def test_cache_is_the_services_own_then_that_of_the_desktop_then_of_the_home(monkeypatch, tmp_path):
    monkeypatch.setenv("CACHE_DIRECTORY", "/var/cache/papertape:/var/cache/other")
    assert compiled.cache_root() == Path("/var/cache/papertape/compiled")
    monkeypatch.delenv("CACHE_DIRECTORY")
    assert compiled.cache_root() == tmp_path / "xdg" / "papertape" / "compiled"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert compiled.cache_root() == tmp_path / ".cache" / "papertape" / "compiled"


def test_prepare_names_the_folder_and_says_once_that_it_compiles():
    said: list[str] = []
    compiled.prepare(said.append)
    assert Path(settings.CACHE_DIR) == compiled.cache_root() / compiled.key()
    compiled.prepare(said.append)
    assert said == ["compiling the engine, once: about 20 s"]


def test_prepare_says_nothing_where_the_compiled_engine_is_there():
    folder = compiled.cache_root() / compiled.key() / "engine_x"
    folder.mkdir(parents=True)
    (folder / "kernel._run-1.py311.1.nbc").touch()
    said: list[str] = []
    compiled.prepare(said.append)
    assert said == []


def test_prepare_compiles_anew_what_was_kept_in_part():
    folder = compiled.cache_root() / compiled.key() / "engine_x"
    folder.mkdir(parents=True)
    (folder / "kernel._run-1.py311.nbi").touch()  # the index, without the code
    said: list[str] = []
    compiled.prepare(said.append)
    assert len(said) == 1


def test_prepare_without_a_folder_works_and_says_so(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    said: list[str] = []
    compiled.prepare(said.append)
    compiled.prepare(said.append)
    assert settings.CACHE_DIR == ""
    assert len(said) == 2
    assert "cannot be kept" in said[0]
    assert "set XDG_CACHE_HOME" in said[0]
    assert said[1].startswith("compiling")


def test_prepare_does_nothing_where_nothing_is_compiled(monkeypatch):
    monkeypatch.setattr(settings, "DISABLE_JIT", 1)
    said: list[str] = []
    compiled.prepare(said.append)
    assert (said, settings.CACHE_DIR) == ([], "")
    assert not compiled.cache_root().exists()


def test_key_depends_on_sources_and_on_numbas_settings(monkeypatch, tmp_path):
    engine = tmp_path / "engine"
    engine.mkdir()
    for name in ("kernel.py", "bars.py"):
        (engine / name).write_text("x = 1\n")

    class Found:
        submodule_search_locations = (str(engine),)

    monkeypatch.setattr(compiled.importlib.util, "find_spec", lambda name: Found)
    keys = [compiled.key()]
    assert compiled.key() == keys[0]
    (engine / "bars.py").write_text("x = 2\n")  # a callee in another file, of the same size
    keys.append(compiled.key())
    monkeypatch.setenv("NUMBA_BOUNDSCHECK", "1")
    keys.append(compiled.key())
    monkeypatch.setattr(numba, "__version__", "99.0")
    keys.append(compiled.key())
    assert len(set(keys)) == 4


def test_folders_of_other_engines_go_but_for_the_last_used(tmp_path):
    now = time.time()
    for age in range(6):
        (tmp_path / f"engine{age}").mkdir()
        os.utime(tmp_path / f"engine{age}", (now - age, now - age))
    (tmp_path / "file").touch()
    compiled.prune(tmp_path / "engine5")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["engine0", "engine1", "engine5", "file"]
