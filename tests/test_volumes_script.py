"""test.py --volumes: tables, files and report of predictions of any tool."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.evaluation.test_volume_folders import block, save


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Two scans: one lesion lies a slice too high, the other scan has a false alarm alone."""
    masks = block(), np.zeros_like(block())
    preds = np.roll(block(), 1, 0), np.zeros_like(block())
    preds[1][5, 0, 0] = 1
    for number, (pred, mask) in enumerate(zip(preds, masks, strict=True)):
        save(tmp_path / "pred" / f"case_{number}.nii.gz", pred)
        save(tmp_path / "mask" / f"case_{number}.nii.gz", mask)
    return [tmp_path / "pred", tmp_path / "mask"]


def test_scans_are_scored_slice_by_slice_and_as_a_whole(
    run_script: Callable, folders: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    finished = run_script("test.py", "--volumes", folders[0], "--masks", folders[1], "--out", out)
    assert finished.code == 0, finished.err
    for text in ("n = 12 slices of 2 patients", "HD95 ↓ mm", "Volumes, mL of lesion"):
        assert text in finished.out
    first, second = rows_of(out / "per_volume.csv")
    # 2 of 3 slices agree: 2 x 160 of 2 x 240 px; the caps are a slice of 5 mm off.
    assert float(first["dice"]) == pytest.approx(2 / 3)
    assert float(first["hd95"]) == pytest.approx(5)
    assert float(first["volume_error"]) == 0
    assert float(first["lesion_ml"]) == pytest.approx(240 * 0.7 * 0.8 * 5 / 1000)
    assert first["num_lesions"] == first["num_pred_lesions"] == "1"
    assert float(second["dice"]) == 0
    assert float(second["hd95"]) == pytest.approx(np.linalg.norm((6 * 5, 24 * 0.7, 30 * 0.8)))
    assert float(second["pred_lesion_ml"]) == pytest.approx(0.7 * 0.8 * 5 / 1000)
    summary = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    volumes = summary["volumes"]
    assert volumes["n"] == 2
    assert volumes["dice"] == pytest.approx(1 / 3)
    assert volumes["dice_pooled"] == pytest.approx(2 * 160 / 481)
    assert volumes["intervals"]["dice"] == pytest.approx([0, 2 / 3])
    assert volumes["num_false_alarm"] == 1
    assert summary["n"] == len(rows_of(out / "per_case.csv")) == 12
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Volumes, surfaces, lesions and more" in page
    assert "per_volume.csv" in page


def test_slices_score_as_maps_of_them_do(
    run_script: Callable, folders: list[Path], tmp_path: Path
) -> None:
    for folder, axial in zip(folders, (np.roll(block(), 1, 0), block()), strict=True):
        (folder / "case_1.nii.gz").unlink()
        (folder / "maps").mkdir()
        for index, plane in enumerate(axial):
            cv2.imwrite(str(folder / "maps" / f"case_0_z{index:03d}.png"), 255 * plane)
    scores = []
    for option, sub in (("--volumes", "."), ("--maps", "maps")):
        out = tmp_path / option
        finished = run_script(
            "test.py", option, folders[0] / sub, "--masks", folders[1] / sub, "--out", out,
            "--no-report",
        )  # fmt: skip
        assert finished.code == 0, finished.err
        scores.append(rows_of(out / "per_case.csv"))
    of_space = {"hd95", "average_surface_distance", "surface_dice"}
    for one, other in zip(*scores, strict=True):
        for key in one.keys() - of_space:
            assert one[key] == other[key], key


def test_other_protocols_and_settings(
    run_script: Callable, refused: Callable, folders: list[Path], tmp_path: Path
) -> None:
    command = ["--volumes", folders[0], "--masks", folders[1], "--out", tmp_path / "out"]
    command.append("--no-report")
    finished = run_script("test.py", *command, "--protocol", "infnet")
    assert finished.code == 0, finished.err
    assert "scores slices alone" in finished.out
    assert not (tmp_path / "out" / "per_volume.csv").exists()
    refused(run_script("test.py", *command, "--protocol", "cosup"), "network's size")
    refused(run_script("test.py", *command, "--set", "data.classes=all"), "data.classes")
    refused(run_script("test.py", *command, "--set", "model.name=unet"), "model.name")
    small = run_script("test.py", *command, "--set", "evaluation.min_lesion_size=4")
    refused(small, "evaluation.min_lesion_size", "scored as they are", "evaluation.threshold")
    classes = ["--set", "data.classes={a: 1, b: 2}"]
    finished = run_script("test.py", *command, *classes)
    assert finished.code == 0, finished.err
    assert "pred_b_ml" in rows_of(tmp_path / "out" / "per_volume.csv")[0]
    assert (tmp_path / "out" / "per_class.csv").is_file()


def test_volumes_need_masks_on_the_same_voxels(
    run_script: Callable, refused: Callable, folders: list[Path], tmp_path: Path
) -> None:
    assert run_script("test.py", "--volumes", folders[0]).code == 2
    save(folders[0] / "case_1.nii.gz", block()[:, ::-1][:5])
    out = tmp_path / "out"
    finished = run_script("test.py", "--volumes", folders[0], "--masks", folders[1], "--out", out)
    refused(finished, str(folders[0] / "case_1.nii.gz"), "5 x 24 x 30", "6 x 24 x 30")
    assert not out.exists()


def test_a_network_is_scored_on_whole_scans_where_its_slices_form_some(
    run_script: Callable, small_settings: list[str], data_root: Path, tmp_path: Path
) -> None:
    stems = sorted(path.stem for path in data_root.glob("*/image/*.png"))
    rows = [f"{stem}.png,{stem.partition('_')[0]},0.8x0.7x5" for stem in stems]
    (data_root / "manifest.csv").write_text("\n".join(["file,patient,spacing_mm", *rows]))
    assert run_script("train.py", *small_settings).code == 0
    best = tmp_path / "runs" / "train_config" / "seed2" / "best.pt"
    finished = run_script("test.py", "--checkpoint", best, "--no-report")
    assert finished.code == 0, finished.err
    assert "Volumes, mL of lesion" in finished.out
    volumes = rows_of(best.parent / "per_volume.csv")
    cases = rows_of(best.parent / "per_case.csv")
    assert [row["name"] for row in volumes] == ["test00", "test01"]
    for volume in volumes:
        own = [row for row in cases if row["patient"] == volume["name"]]
        lesion, pred, hit = (
            sum(int(row[key]) for row in own) for key in ("lesion_px", "pred_px", "hit_px")
        )
        assert float(volume["dice"]) == pytest.approx(2 * hit / (lesion + pred))
        assert float(volume["lesion_ml"]) == pytest.approx(lesion * 0.8 * 0.7 * 5 / 1000)
        assert float(volume["pred_lesion_ml"]) == pytest.approx(pred * 0.8 * 0.7 * 5 / 1000)
