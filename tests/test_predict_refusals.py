"""What predict.py cannot predict: one line that names the file, code 2, nothing half-written."""

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from bad_scans import BAD, grey, save_scan
from saved_network import save_network

from datasets.image_io import write_png
from training.checkpoint import load_checkpoint


@pytest.fixture
def best(tmp_path: Path) -> Path:
    """The checkpoint of a small network."""
    return save_network(tmp_path / "runs" / "small" / "seed2" / "best.pt")


@pytest.fixture
def predict(run_script: Callable, best: Path, tmp_path: Path) -> Callable:
    """Run predict.py with the checkpoint; outputs go to <tmp_path>/out."""

    def run(*arguments: str | Path) -> object:
        common = ["--checkpoint", best, "--out", tmp_path / "out", "--no-severity"]
        return run_script("predict.py", *common, "--input", *arguments)

    return run


def names_in(folder: Path) -> list[str]:
    """Every file and folder below a folder, hidden ones too."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.parametrize("make_bad", BAD.values(), ids=BAD)
def test_a_bad_case_is_named_and_leaves_nothing_behind(
    predict: Callable, refused: Callable, tmp_path: Path, make_bad: Callable[[Path], str]
) -> None:
    (tmp_path / "in").mkdir()
    named = make_bad(tmp_path / "in")
    refused(predict(tmp_path / "in"), str(tmp_path / "in"), named)
    assert not (tmp_path / "out").exists()


def test_the_rest_goes_on_past_bad_cases_with_a_list_at_the_end(
    predict: Callable, tmp_path: Path
) -> None:
    for name in "az":
        save_scan(tmp_path / "in" / f"{name}.nii")
        write_png(tmp_path / "in" / f"{name}1.png", grey())
    named = {}
    for number, make_bad in enumerate(BAD.values()):
        folder = tmp_path / "in" / f"m{number:02d}"
        folder.mkdir()
        named[folder] = make_bad(folder)
    finished = predict(tmp_path / "in", "--keep-going")
    assert finished.code == 2
    *failed, last = finished.err.splitlines()
    assert len(failed) == len(BAD)
    for folder, part in named.items():
        (line,) = (line for line in failed if str(folder) in line)
        assert line.startswith("failed: ")
        assert part in line
        assert str(folder) in last
    assert last.startswith(f"error: {len(BAD)} of {len(BAD) + 4} cases failed: ")
    out = names_in(tmp_path / "out")
    assert {"a1_mask.png", "z1_mask.png", "a_mask.nii.gz", "z_mask.nii.gz"} < set(out)
    assert not any(name.startswith("m") for name in out)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("missing.png", ["no such file"]),
        ("notes.docx", ["neither an image nor a scan"]),
        ("nothing", ["no file"]),
        ("texts", ["holds no image", "a.txt"]),
    ],
)
def test_inputs_that_are_no_case_are_refused(
    predict: Callable, refused: Callable, tmp_path: Path, name: str, parts: list[str]
) -> None:
    (tmp_path / "notes.docx").write_text("text")
    (tmp_path / "nothing").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("text")
    refused(predict(tmp_path / name), f"--input {tmp_path / name}", *parts)
    assert not (tmp_path / "out").exists()


def test_cases_that_would_overwrite_each_other_are_refused(
    predict: Callable, refused: Callable, tmp_path: Path
) -> None:
    for name in ("in/s.png", "in/S.bmp", "b/s.nii", "c/s.nii"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    refused(predict(tmp_path / "in"), "S.bmp", "s.png", "different folders")
    refused(predict(tmp_path / "b" / "s.nii", tmp_path / "c" / "s.nii"), "b/s.nii", "c/s.nii")
    refused(predict(tmp_path / "b", "--out", tmp_path / "b"), "--out", "the input as well")
    file = tmp_path / "b" / "s.nii"
    refused(predict(file, "--out", file), "--out", "is a file")


def test_a_checkpoint_that_is_missing_or_spoilt_is_refused(
    predict: Callable, refused: Callable, best: Path, tmp_path: Path
) -> None:
    path = save_scan(tmp_path / "scan.nii")
    for name in ("no.pt", "no.onnx"):
        refused(predict(path, "--checkpoint", tmp_path / name), name, "no such")
    content = load_checkpoint(best)
    content["model"]["fusion.head.bias"].fill_(float("nan"))
    torch.save(content, best)
    refused(predict(path), "scan.nii, slice 0", "NaN")
    best.write_bytes(best.read_bytes()[:-1000])
    refused(predict(path), str(best), "damaged")
    assert not (tmp_path / "out").exists()


@contextmanager
def full_disk(num_bytes: int) -> Iterator[None]:
    """No file may grow beyond so many bytes."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)


@pytest.mark.parametrize("kind", ["image", "volume"])
def test_a_full_disk_leaves_what_was_there_before(
    predict: Callable, refused: Callable, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "s.png" if kind == "image" else save_scan(tmp_path / "s.nii")
    if kind == "image":
        write_png(path, grey())
    with full_disk(50):
        refused(predict(path), str(tmp_path / "out" / "s"), "cannot be written")
    assert not (tmp_path / "out").exists()
    assert predict(path).code == 0
    out = tmp_path / "out"
    before = {name: (out / name).read_bytes() for name in names_in(out)}
    for num_bytes in (50, max(map(len, before.values())) // 2):
        with full_disk(num_bytes):
            refused(predict(path, "--flip"), str(out / "s"), "cannot be written")
        assert {name: (out / name).read_bytes() for name in names_in(out)} == before


def test_masks_of_lungs_must_fit_their_volume(
    predict: Callable, refused: Callable, run_script: Callable, best: Path, tmp_path: Path
) -> None:
    scans = [save_scan(tmp_path / "in" / f"{name}.nii") for name in "ab"]
    other = save_scan(tmp_path / "lungs" / "a_lung.nii", np.ones((4, 32, 30), np.uint8))
    common = ["--checkpoint", best, "--out", tmp_path / "out", "--input"]
    for lung, inputs, parts in (
        (other, scans[:1], [str(other), "4 x 32 x 30", "4 x 32 x 32"]),
        (other, scans, ["one mask for 2 scans"]),
        (tmp_path / "lungs", scans[1:], ["no mask of b"]),
        (tmp_path / "nowhere", scans[:1], ["no such file"]),
    ):
        refused(run_script("predict.py", *common, *inputs, "--lung", lung), "lung", *parts)
    assert not (tmp_path / "out").exists()


def test_hounsfield_units_need_a_window(
    predict: Callable, refused: Callable, best: Path, tmp_path: Path
) -> None:
    path = save_scan(tmp_path / "scan.nii")
    warned = predict(path, "--window", "-1000", "400")
    assert warned.code == 0
    assert "warning: --window -1000 400: the network was trained on HU -1250 to 250" in warned.out
    assert "HU -1000 to 400" in warned.out
    save_network(best, intensity=None, bits=None)  # as an earlier version wrote it
    refused(predict(path), "scan.nii", "Hounsfield", "--window -1250 250")
    assert predict(path, "--window", "-1250", "250").code == 0
    refused(predict(path, "--window", "250", "-1250"), "--window", "LOW must be below HIGH")
