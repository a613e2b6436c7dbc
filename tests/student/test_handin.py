"""Notebook, weights and manifest are handed in, nothing else; the grader reads them."""

import hashlib
import json
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from grader.submission import read_submissions
from kws.errors import UsageError
from kws.student.handin import MOST, hand_in
from kws.student.visible_checks import CheckOutcome

OUTCOMES = [CheckOutcome(check="3.1-collate-by-hand", state="pass", text="")]


def test_the_grader_reads_it_with_its_weights(folder):
    folder.fill("03")
    save_file({"w": torch.ones(3)}, folder["03"].with_suffix(".safetensors"))
    written = hand_in("03", folder["03"], OUTCOMES, folder.path / "03_speakers.zip")
    assert written.missing is None
    [submission] = read_submissions(written.path)
    [direct] = read_submissions(folder["03"])
    assert submission.assignment == "03"
    assert submission.pieces == direct.pieces
    assert submission.weights == direct.weights is not None
    assert not submission.repairs


def test_it_holds_three_files_and_a_manifest_of_the_others(folder):
    for name in ("notes.txt", "04_conformer.safetensors", "03_speakers.before-reset-1.ipynb"):
        (folder.path / "assignments" / name).write_text("mine")
    save_file({"w": torch.ones(3)}, folder["03"].with_suffix(".safetensors"))
    written = hand_in("03", folder["03"], OUTCOMES, folder.path / "out.zip")
    with zipfile.ZipFile(written.path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    assert list(held) == ["03_speakers.ipynb", "03_speakers.safetensors", "manifest.json"]
    manifest = json.loads(held.pop("manifest.json"))
    assert manifest["files"] == {
        name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in held.items()
    }
    assert (manifest["assignment"], manifest["checks"]) == ("03", {OUTCOMES[0].check: "pass"})
    assert held["03_speakers.ipynb"] == folder["03"].read_bytes()


def test_the_same_files_give_the_same_bytes_under_the_names_of_the_course(folder):
    mine = folder["02"].with_name("mine.ipynb")
    mine.write_bytes(folder["02"].read_bytes())
    one = hand_in("02", mine, OUTCOMES, folder.path / "1.zip")
    two = hand_in("02", folder["02"], OUTCOMES, folder.path / "2.zip")
    assert one.path.read_bytes() == two.path.read_bytes()
    assert one.files == ("02_attention.ipynb", "manifest.json")


def test_missing_weights_are_named_and_what_the_grader_would_not_read_is_not_written(folder):
    written = hand_in("03", folder["03"], OUTCOMES, folder.path / "small.zip")
    assert written.missing == "03_speakers.safetensors"
    with folder["03"].open("r+b") as file:
        file.truncate(MOST + 1)
    with pytest.raises(UsageError, match="clear its outputs"):
        hand_in("03", folder["03"], OUTCOMES, folder.path / "out.zip")
    assert not (folder.path / "out.zip").exists()
