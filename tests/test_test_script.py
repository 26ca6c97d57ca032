import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
import torch


@pytest.fixture
def best(run_script: Callable, small_settings: list[str], tmp_path: Path) -> Path:
    """The best checkpoint of a small run."""
    assert run_script("train.py", *small_settings).code == 0
    return tmp_path / "runs" / "train_config" / "seed2" / "best.pt"


def test_without_a_report_the_scores_are_the_same(run_script: Callable, best: Path) -> None:
    files = ("per_case.csv", "curves.csv")
    finished = run_script("test.py", "--checkpoint", best, "--no-report")
    assert finished.code == 0, finished.err
    found = {path.name for path in best.parent.iterdir()}
    assert "report.html" not in found
    assert "figures" not in found
    assert "report.html" not in finished.out
    alone = [(best.parent / name).read_bytes() for name in files]
    scores = json.loads((best.parent / "metrics.json").read_text())
    assert run_script("test.py", "--checkpoint", best).code == 0
    assert [(best.parent / name).read_bytes() for name in files] == alone
    whole = json.loads((best.parent / "metrics.json").read_text())
    of_the_moment = {"run_info", "milliseconds_per_case_in_metrics"}
    assert {key for key in whole if whole[key] != scores[key]} <= of_the_moment


def test_val_split_reproduces_the_score_that_best_pt_was_chosen_by(
    run_script: Callable, best: Path
) -> None:
    finished = run_script("test.py", "--no-report", "--checkpoint", best, "--split", "val")
    assert finished.code == 0, finished.err
    scores = json.loads((best.parent / "val" / "metrics.json").read_text())
    chosen_by = torch.load(best, weights_only=True)["scores"]
    assert len(chosen_by) > 10
    for name, value in chosen_by.items():
        assert scores[name] == value, name


def test_table_files_and_figures(run_script: Callable, best: Path) -> None:
    finished = run_script("test.py", "--checkpoint", best)
    assert finished.code == 0, finished.err
    scores = json.loads((best.parent / "metrics.json").read_text())
    for head in ("Dice ↑", "Sens. ↑", "Prec. ↑", "MAE ↓", "E_phi ↑", "S_alpha ↑"):
        assert head in finished.out
    assert f"{100 * scores['dice']:.2f}" in finished.out
    assert f"{100 * scores['dice_pooled']:.2f}" in finished.out
    assert "n = 4 slices of 2 patients" in finished.out
    assert (scores["split"], scores["n"], scores["empty_target"]) == ("test", 4, "one")
    assert scores["image_size"] == scores["scored_at"] == [64, 64]
    assert scores["protocol"] == "native"
    for head in ("HD95 ↓ px", "Surf. Dice ↑", "Lesion F1 ↑"):
        assert head in finished.out
    with (best.parent / "per_case.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["name"] for row in rows] == [f"test{i // 2:02d}_z{i:03d}" for i in range(4)]
    mean = sum(float(row["dice"]) for row in rows) / 4
    assert mean == pytest.approx(scores["dice"])
    figures = sorted(path.name for path in (best.parent / "figures").iterdir())
    # Three slices have a lesion: all three are the best ones.
    assert [name.rsplit("_", 2)[0] for name in figures[:3]] == ["best_1", "best_2", "best_3"]
    drawn = [
        "dice_by_area",
        "dice_histogram",
        "figure_6",
        "figure_7",
        "figure_8",
        "threshold_curves",
    ]
    assert figures[3:] == [f"{name}.png" for name in drawn]
    assert all(cv2.imread(str(best.parent / "figures" / name)) is not None for name in figures)
    page = (best.parent / "report.html").read_text(encoding="utf-8")
    assert all(row["name"] in page for row in rows)
    with (best.parent / "curves.csv").open() as stream:
        curves = list(csv.DictReader(stream))
    assert [float(curve["threshold"]) for curve in curves] == [k / 255 for k in range(256)]
    e_measure = sum(float(curve["e_measure"]) for curve in curves) / 256
    assert e_measure == pytest.approx(scores["e_measure_mean"])


def test_native_scores_slices_at_their_own_size(run_script: Callable, best: Path) -> None:
    arguments = ["--checkpoint", best, "--set", "data.image_size=32"]
    assert run_script("test.py", "--no-report", *arguments).code == 0
    native = json.loads((best.parent / "metrics.json").read_text())
    assert run_script("test.py", "--no-report", *arguments, "--protocol", "cosup").code == 0
    cosup = json.loads((best.parent / "cosup" / "metrics.json").read_text())
    assert (native["scored_at"], cosup["scored_at"]) == ([64, 64], [32, 32])
    with (best.parent / "per_case.csv").open() as stream:
        assert {row["num_px"] for row in csv.DictReader(stream)} == {"4096"}


def test_cosup_at_the_size_of_training_is_the_validation_score(
    run_script: Callable, best: Path
) -> None:
    arguments = ["--checkpoint", best, "--split", "val", "--protocol", "cosup"]
    assert run_script("test.py", "--no-report", *arguments).code == 0
    scores = json.loads((best.parent / "val" / "cosup" / "metrics.json").read_text())
    chosen_by = torch.load(best, weights_only=True)["scores"]
    for key in ("dice", "dice_pooled", "mae", "e_measure_mean", "s_measure"):
        assert scores[key] == pytest.approx(chosen_by[key], abs=1e-7), key


def test_maps_that_are_saved_score_as_the_network_that_made_them(
    run_script: Callable, best: Path, data_root: Path
) -> None:
    arguments = ["--checkpoint", best, "--protocol", "infnet", "--save-maps"]
    assert run_script("test.py", "--no-report", *arguments).code == 0
    folder = best.parent / "infnet"
    masks = data_root / "test" / "mask"
    arguments = ["--maps", folder / "maps", "--masks", masks, "--protocol", "infnet"]
    finished = run_script("test.py", *arguments)
    assert finished.code == 0, finished.err
    scores = json.loads((folder / "maps_infnet" / "metrics.json").read_text())
    expected = json.loads((folder / "metrics.json").read_text())
    for key in ("dice_mean", "dice_max", "specificity_mean", "e_measure_max", "s_measure", "mae"):
        assert scores[key] == pytest.approx(expected[key], abs=1e-12), key
    assert (folder / "maps_infnet" / "report.html").is_file()


def test_two_runs_are_compared(run_script: Callable, refused: Callable, best: Path) -> None:
    for protocol in ("native", "cosup"):
        assert (
            run_script("test.py", "--no-report", "--checkpoint", best, "--protocol", protocol).code
            == 0
        )
    other = best.parent / "other"
    arguments = ["--checkpoint", best, "--out", other, "--set", "data.image_size=48"]
    assert run_script("test.py", "--no-report", *arguments).code == 0
    out = best.parent / "compared"
    finished = run_script("test.py", "--compare", best.parent, other, "--out", out)
    assert finished.code == 0, finished.err
    assert "Dice ↑" in finished.out
    assert "2 patients" in finished.out
    compared = json.loads((out / "comparison.json").read_text())["metrics"]["dice"]
    scores = [json.loads((run / "metrics.json").read_text()) for run in (best.parent, other)]
    assert compared["difference"] == pytest.approx(scores[1]["dice"] - scores[0]["dice"])
    refused(run_script("test.py", "--compare", best.parent, best.parent / "cosup"), "protocol")
    refused(run_script("test.py", "--compare", best.parent, best.parent / "no"), "run test.py")


def test_arguments_that_do_not_go_together_are_refused(
    run_script: Callable, refused: Callable, best: Path, data_root: Path
) -> None:
    masks = data_root / "test" / "mask"
    refused(run_script("test.py"), "--checkpoint", "--maps", "--compare")
    refused(run_script("test.py", "--maps", masks), "--maps and --masks go together")
    arguments = ["--maps", masks, "--masks", masks, "--protocol", "cosup"]
    refused(run_script("test.py", *arguments), "cosup", "native or infnet")
    pair = ["--set", "evaluation.empty_target=nan"]
    arguments = ["--checkpoint", best, "--protocol", "infnet", *pair]
    refused(run_script("test.py", *arguments), "evaluation.empty_target", "infnet")


def test_a_folder_that_cannot_be_written_is_refused(
    run_script: Callable, refused: Callable, best: Path
) -> None:
    out = best.parent / "file"
    out.write_text("in the way")
    refused(run_script("test.py", "--checkpoint", best, "--out", out), f"--out {out}")


def test_batch_size_of_evaluation_changes_no_score(run_script: Callable, best: Path) -> None:
    scores = []
    for size in (1, 3):
        out = best.parent / f"by{size}"
        arguments = ["--checkpoint", best, "--out", out, "--set", f"evaluation.batch_size={size}"]
        assert run_script("test.py", "--no-report", *arguments).code == 0
        scores.append(json.loads((out / "metrics.json").read_text()))
    for name in ("dice", "dice_pooled", "mae", "s_measure"):
        assert scores[0][name] == pytest.approx(scores[1][name], abs=1e-5)


def test_split_test_falls_back_to_val_and_says_so(
    run_script: Callable, best: Path, data_root: Path
) -> None:
    shutil.rmtree(data_root / "test")
    finished = run_script("test.py", "--no-report", "--checkpoint", best)
    assert "has no test: scoring val" in finished.out
    assert json.loads((best.parent / "val" / "metrics.json").read_text())["split"] == "val"


def test_another_data_set_gets_a_folder_of_its_own(
    run_script: Callable, best: Path, data_root: Path
) -> None:
    other = shutil.copytree(data_root, data_root.with_name("other"))
    arguments = ["--checkpoint", best, "--set", f"data.root={other}"]
    assert run_script("test.py", "--no-report", *arguments).code == 0
    assert json.loads((best.parent / "other" / "metrics.json").read_text())["data_set"] == "other"
    assert not (best.parent / "metrics.json").exists()


@pytest.mark.parametrize("policy", ["one", "zero", "nan"])
def test_empty_target_policy_is_a_setting(run_script: Callable, best: Path, policy: str) -> None:
    arguments = ["--checkpoint", best, "--set", f"evaluation.empty_target={policy}"]
    finished = run_script("test.py", "--no-report", *arguments)
    assert f"scores {policy}" in finished.out
    assert json.loads((best.parent / "metrics.json").read_text())["empty_target"] == policy


def test_the_checkpoint_decides_the_network(
    run_script: Callable, refused: Callable, best: Path
) -> None:
    arguments = ["--checkpoint", best, "--set", "model.args.width=8"]
    refused(run_script("test.py", *arguments), "model.args.width", "the checkpoint decides it")


def test_missing_truncated_and_foreign_checkpoints_are_refused(
    run_script: Callable, refused: Callable, best: Path, tmp_path: Path
) -> None:
    refused(run_script("test.py", "--checkpoint", tmp_path / "no.pt"), "no such checkpoint")
    data = best.read_bytes()
    for length in (0, 100, len(data) // 2, len(data) - 1):
        best.write_bytes(data[:length])
        refused(run_script("test.py", "--checkpoint", best), str(best))
    best.write_bytes(data)
    content = torch.load(best, weights_only=True)
    content["config"]["model"]["args"]["width"] = 6
    torch.save(content, best)
    refused(run_script("test.py", "--checkpoint", best), "weights of another network")
    assert not (best.parent / "metrics.json").exists()


def test_a_checkpoint_of_an_unknown_network_is_refused(
    run_script: Callable, refused: Callable, best: Path
) -> None:
    content = torch.load(best, weights_only=True)
    content["config"]["model"]["name"] = "unknownnet"
    torch.save(content, best)
    refused(run_script("test.py", "--checkpoint", best), "model.name", "unknownnet")


def test_weights_that_predict_nan_are_an_error_naming_the_case(
    run_script: Callable, refused: Callable, best: Path
) -> None:
    content = torch.load(best, weights_only=True)
    content["model"]["fusion.head.bias"].fill_(float("nan"))
    torch.save(content, best)
    refused(run_script("test.py", "--checkpoint", best), "test00_z000", "NaN")
    assert not (best.parent / "metrics.json").exists()
