"""Locks and zips; whole files and folders are tested where they are written."""

import io
import os
import zipfile

import pytest

from kws import files
from kws.files import hold_lock, lock, zip_bytes


def test_a_lock_is_held_until_its_file_is_closed(tmp_path):
    with hold_lock(tmp_path) as first, hold_lock(tmp_path) as second:
        assert (first, second) == (True, False)
    with hold_lock(tmp_path) as again:
        assert again


@pytest.mark.parametrize("error", [OSError(95, "Operation not supported"), None])
def test_where_there_are_no_locks_none_is_told(tmp_path, monkeypatch, error):
    class NoLocks:
        LOCK_EX = LOCK_NB = 0

        @staticmethod
        def flock(*_: object) -> None:
            raise error

    monkeypatch.setattr(files, "fcntl", NoLocks if error else None)
    with (tmp_path / "file").open("wb") as file:
        assert lock(file) is None


def test_a_zip_contains_its_files_whatever_their_order_and_may_run_those_that_are_named():
    with zipfile.ZipFile(io.BytesIO(zip_bytes({"run": b"#!", "a": b"x"}, ["run"]))) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "run": b"#!",
            "a": b"x",
        }
        modes = {entry.filename: entry.external_attr >> 16 for entry in archive.infolist()}
    assert {name: bool(mode & os.X_OK) for name, mode in modes.items()} == {"run": True, "a": False}
    one, other = {"b": b"2", "a/c": b"1"}, {"a/c": b"1", "b": b"2"}
    assert zip_bytes(one) == zip_bytes(other) != zip_bytes({**one, "b": b"3"})
