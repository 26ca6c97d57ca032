"""prepare.py on files as downloaded, run as a user runs it."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import nibabel as nib
import numpy as np
import pytest

SHAPE = (20, 24, 6)  # columns, rows, slices as NIfTI stores them


def _write_scan(folder: Path, name: str, seed: int) -> None:
    """A noisy scan in HU with a bright box as lesion, and its mask."""
    generator = np.random.default_rng(seed)
    values = generator.normal(-800, 60, SHAPE)
    mask = np.zeros(SHAPE, np.uint8)
    left, top = generator.integers(2, 10, 2)
    mask[left : left + 5, top : top + 6, 1:4] = 1
    values[mask > 0] += 500
    affine = np.diag([-0.7, -0.8, 5, 1])
    for kind, array in (("images", values.astype(np.int16)), ("masks", mask)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(array, affine), folder / kind / f"{name}.nii.gz")


@pytest.fixture
def downloads(tmp_path: Path) -> Path:
    """Six scans with masks, as NIfTI pairs."""
    for number in range(6):
        _write_scan(tmp_path / "downloads", f"p{number}", number)
    return tmp_path / "downloads"


def _manifest(root: Path) -> list[str]:
    return (root / "manifest.csv").read_text().splitlines()


def test_the_list_names_licence_place_and_files_of_every_set(run_script: Callable) -> None:
    finished = run_script("prepare.py", "--list")
    assert finished.code == 0, finished.err
    names = (
        "covid-ct-seg", "medseg-slices", "medseg-volumes", "kaggle-medseg", "mosmed", "uestc",
        "covid-19-20", "covid-semiseg", "covid-semiseg-multiclass", "covid-semiseg-unlabelled",
        "kaggle-lesions", "xray-covid", "covid-qu-ex", "qata-cov19", "xray-lungs",
    )  # fmt: skip
    for paragraph, name in zip(finished.out.split("\n\n"), names, strict=True):
        assert paragraph.startswith(f"{name}: ")
        for head in ("licence", "cite", "from", "expects"):
            assert f"\n  {head}" in paragraph


def test_volumes_become_a_folder_that_passes_the_check_and_trains(
    run_script: Callable, small_settings: list[str], downloads: Path, tmp_path: Path
) -> None:
    out = tmp_path / "converted"
    fractions = ["--fractions", 0.5, 0.25, 0.25]
    finished = run_script("prepare.py", "generic", "--from", downloads, "--out", out, *fractions)
    assert finished.code == 0, finished.err
    assert "36 slices (train " in finished.out
    assert len(_manifest(out)) == 37
    assert json.loads((out / "dataset.json").read_text())["intensity"] == {
        "unit": "HU", "low": -1250.0, "high": 250.0,
    }  # fmt: skip
    assert {"fingerprint.json", "fingerprint.html", "montage.png", "splits.json"} <= {
        path.name for path in out.iterdir()
    }
    checked = run_script("prepare.py", "check", out)
    assert checked.code == 0, checked.err
    assert "no problems" in checked.out
    settings = [*small_settings, "--set", f"data.root={out}"]
    assert run_script("train.py", *settings).code == 0


@pytest.mark.usefixtures("undrawn")
def test_folds_are_data_folders_of_their_own(
    run_script: Callable, downloads: Path, tmp_path: Path
) -> None:
    out = tmp_path / "folds"
    finished = run_script("prepare.py", "generic", "--from", downloads, "--out", out, "--folds", 3)
    assert finished.code == 0, finished.err
    tested = [json.loads((out / f"fold{k}" / "splits.json").read_text())["test"] for k in range(3)]
    patients = sorted(name for names in tested for name in names)
    assert patients == [f"p{number}" for number in range(6)]


@pytest.mark.usefixtures("undrawn")
def test_a_window_of_ones_own_stands_in_the_card(
    run_script: Callable, downloads: Path, tmp_path: Path
) -> None:
    out = tmp_path / "narrow"
    window = ["--window", -1000, 0]
    assert run_script("prepare.py", "generic", "--from", downloads, "--out", out, *window).code == 0
    card = json.loads((out / "dataset.json").read_text())
    assert card["intensity"] == {"unit": "HU", "low": -1000.0, "high": 0.0}
    first = next((out / "train" / "image").iterdir())
    levels = cv2.imread(str(first), cv2.IMREAD_UNCHANGED)
    assert abs(np.median(levels) - 255 * 0.2) < 6  # -800 HU in the window of -1000 to 0


@pytest.mark.usefixtures("undrawn")
def test_a_damaged_scan_stops_the_conversion_or_is_listed_at_its_end(
    run_script: Callable, refused: Callable, downloads: Path, tmp_path: Path
) -> None:
    damaged = downloads / "images" / "p3.nii.gz"
    damaged.write_bytes(damaged.read_bytes()[:900])
    out = tmp_path / "converted"
    refused(run_script("prepare.py", "generic", "--from", downloads, "--out", out), str(damaged))
    assert not out.exists()
    finished = run_script(
        "prepare.py", "generic", "--from", downloads, "--out", out, "--keep-going"
    )
    assert finished.code == 2
    assert str(damaged) in finished.err
    assert len(_manifest(out)) == 31


def test_the_check_prints_every_problem_at_once(run_script: Callable, data_root: Path) -> None:
    image = data_root / "train" / "image" / "train00_z000.png"
    image.write_bytes(image.read_bytes()[:60])
    (data_root / "val" / "mask" / "val00_z001.png").unlink()
    finished = run_script("prepare.py", "check", data_root)
    assert finished.code == 2
    assert str(image) in finished.err
    assert "val00_z001" in finished.err
    assert "they stand above" in finished.err.splitlines()[-1]


def test_the_papers_set_names_the_folder_that_is_missing(
    run_script: Callable, refused: Callable, tmp_path: Path
) -> None:
    (tmp_path / "medseg-slices").mkdir()
    arguments = ["--from", tmp_path, "--out", tmp_path / "paper"]
    refused(run_script("prepare.py", "paper", *arguments), "medseg-volumes")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--labels", "lesion=1"], "--labels"),
        (["--window", 250, -1250], "--window"),
        (["--keep-empty", "some"], "--keep-empty"),
        (["--folds", 2], "--folds"),
        (["--fractions", 0.5, 0.1, 0.1], "--fractions"),
        (["--images", "{patient}.nii.gz"], "pattern"),
    ],
)
def test_wrong_options_are_named(
    run_script: Callable,
    refused: Callable,
    downloads: Path,
    tmp_path: Path,
    arguments: list,
    part: str,
) -> None:
    out = tmp_path / "converted"
    refused(
        run_script("prepare.py", "generic", "--from", downloads, "--out", out, *arguments), part
    )
    assert not out.exists()


def test_without_out_nothing_is_made(
    run_script: Callable, refused: Callable, downloads: Path
) -> None:
    refused(run_script("prepare.py", "generic", "--from", downloads), "--out")


def test_any_data_folder_can_be_described(
    run_script: Callable, refused: Callable, data_root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "described"
    finished = run_script("prepare.py", "describe", data_root, "--out", out)
    assert finished.code == 0, finished.err
    assert {path.name for path in out.iterdir()} == {
        "fingerprint.html",
        "fingerprint.json",
        "montage.png",
    }
    refused(run_script("prepare.py", "describe", tmp_path / "nothing"), "nothing")
    assert not (tmp_path / "nothing").exists()


def _write_slices(folder: Path, images: list[np.ndarray], suffix: str = ".png") -> None:
    """A slice of each patient, and its mask."""
    for number, image in enumerate(images):
        for kind in ("images", "masks"):
            (folder / kind).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / "images" / f"p{number}_z001{suffix}"), image)
        mask = np.zeros(image.shape, np.uint8)
        mask[4:9, 5 + number : 12] = 255
        cv2.imwrite(str(folder / "masks" / f"p{number}_z001.png"), mask)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bits_of_few_levels_are_warned_of_and_kept_as_the_warning_says(
    suffix: str, run_script: Callable, tmp_path: Path
) -> None:
    coarse = np.random.default_rng(3).integers(-1000, 400, (4, 6, 6))
    hounsfield = [cv2.resize(one.astype(np.float32), (48, 48)) for one in coarse]
    slices = [(one + 32768).astype(np.uint16) for one in hounsfield]
    _write_slices(tmp_path / "in", slices, suffix)
    arguments = ["generic", "--from", tmp_path / "in", "--fractions", 0.5, 0.25, 0.25]
    finished = run_script("prepare.py", *arguments, "--out", tmp_path / "few")
    assert finished.code == 0, finished.err
    assert "no slice uses more than" in finished.err
    assert "--bits 16 --window LOW HIGH" in finished.err
    checked = run_script("prepare.py", "check", tmp_path / "few")
    assert f"{tmp_path / 'few' / 'train' / 'image'}: no slice uses more than" in checked.out
    kept = ["--bits", 16, "--window", -1000, 400, "--out", tmp_path / "kept"]
    finished = run_script("prepare.py", *arguments, *kept)
    assert (finished.code, "no slice uses more than" in finished.err) == (0, False)
    (image, *_) = (tmp_path / "kept" / "train" / "image").iterdir()
    assert len(np.unique(cv2.imread(str(image), cv2.IMREAD_UNCHANGED))) > 500
    assert "grey level" not in run_script("prepare.py", "check", tmp_path / "kept").out


def test_a_stack_of_pages_is_refused_with_their_number(
    run_script: Callable, refused: Callable, tmp_path: Path
) -> None:
    image = np.random.default_rng(3).integers(0, 255, (48, 48), np.uint8)
    _write_slices(tmp_path / "in", [image, 255 - image], ".tif")
    page = tmp_path / "in" / "images" / "p1_z001.tif"
    cv2.imwritemulti(str(page), [image] * 6)
    arguments = ["--from", tmp_path / "in", "--out", tmp_path / "out"]
    refused(run_script("prepare.py", "generic", *arguments), str(page), "6 pages")
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("undrawn")
def test_files_of_ones_own_are_not_cited(
    run_script: Callable, downloads: Path, tmp_path: Path
) -> None:
    arguments = ["--from", downloads, "--fractions", 0.5, 0.25, 0.25]
    finished = run_script("prepare.py", "generic", *arguments, "--out", tmp_path / "out")
    assert finished.code == 0, finished.err
    assert "licence" in finished.out
    for head in ("cite", "from  ", "expects", "()", "; no direct link"):
        assert head not in finished.out
    assert not [line for line in finished.out.splitlines() if not line.strip()]
