"""The result folder: there when complete, not before."""

import pytest

from daemon.folder import ResultFolderError, new_run_id, result_folder


def tree(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def fail_in(path, error, meanwhile=lambda: None):
    with result_folder(path) as hidden:
        (hidden / "file").write_text("ours")
        meanwhile()
        if error:
            raise error


def test_folder_appears_when_the_block_ends(tmp_path):
    with result_folder(tmp_path / "a" / "b") as hidden:
        (hidden / "file").write_text("x")
        assert not (tmp_path / "a" / "b").exists()
    assert tree(tmp_path) == ["a", "a/b", "a/b/file"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, SystemExit])
def test_failed_block_leaves_nothing_not_even_new_parents(tmp_path, error):
    with pytest.raises(error):
        fail_in(tmp_path / "a" / "b" / "c", error)
    assert tree(tmp_path) == []


def test_failed_block_leaves_what_was_there_before(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(KeyError):
        fail_in(tmp_path / "a" / "b", KeyError)
    assert tree(tmp_path) == ["a"]


def test_failed_block_leaves_what_others_put_beside_it(tmp_path):
    with pytest.raises(KeyError):
        fail_in(tmp_path / "a" / "b", KeyError, (tmp_path / "a" / "other").mkdir)
    assert tree(tmp_path) == ["a", "a/other"]


def test_empty_folder_is_used(tmp_path):
    with result_folder(tmp_path) as hidden:
        (hidden / "file").write_text("x")
    assert tree(tmp_path) == ["file"]


@pytest.mark.parametrize("make", ["folder", "file"])
def test_folder_or_file_that_is_there_is_refused(tmp_path, make):
    path = tmp_path / "out"
    if make == "folder":
        path.mkdir()
        (path / "x").write_text("mine")
    else:
        path.write_text("mine")
    before = tree(tmp_path)
    with pytest.raises(ResultFolderError, match="out is there already"), result_folder(path):
        pytest.fail("the block ran")
    assert tree(tmp_path) == before


def test_folder_that_somebody_fills_meanwhile_is_not_overwritten(tmp_path):
    out = tmp_path / "out"

    def fill():
        out.mkdir()
        (out / "file").write_text("theirs")

    with pytest.raises(ResultFolderError):
        fail_in(out, None, fill)
    assert tree(tmp_path) == ["out", "out/file"]
    assert (out / "file").read_text() == "theirs"


def test_place_that_cannot_hold_a_folder_is_refused_with_what_to_do(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ResultFolderError, match="name another folder with --out"):
        fail_in(tmp_path / "file" / "out", None)


def test_run_ids_sort_by_time_and_differ():
    ids = [new_run_id() for _ in range(50)]
    assert len(set(ids)) == 50
    assert sorted(ids, key=lambda i: i[:15]) == ids
