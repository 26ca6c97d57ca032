from collections.abc import Callable
from pathlib import Path

import pytest


def test_synthetic_makes_a_folder_that_train_and_test_take(
    run_script: Callable, small_settings: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "synthetic"
    finished = run_script(
        "prepare.py", "synthetic", "--out", out, "--patients", 2, 1, 1, "--slices", 4, "--size", 64
    )
    assert finished.code == 0, finished.err
    assert "16 slices (train 8, val 4, test 4)" in finished.out
    settings = [*small_settings, "--set", f"data.root={out}"]
    finished = run_script("train.py", *settings)
    assert finished.code == 0, finished.err
    assert "8 slices of 2 patients" in finished.out
    assert "lung masks on 8" in finished.out


def test_class_labels_train_as_one_lesion(
    run_script: Callable, small_settings: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "synthetic"
    arguments = ["--out", out, "--patients", 3, 2, 1, "--slices", 6, "--size", 64]
    assert run_script("prepare.py", "synthetic", *arguments).code == 0
    for split in ("train", "val"):
        (out / split / "mask").rename(out / split / "binary")
        (out / split / "label").rename(out / split / "mask")
    settings = [*small_settings, "--set", f"data.root={out}"]
    finished = run_script("train.py", *settings)
    assert finished.code == 2
    assert "data.lesion_values=[1,2,3]" in finished.err
    assert run_script("train.py", *settings, "--set", "data.lesion_values=[1, 2, 3]").code == 0


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--slices", 0], "--slices"),
        (["--size", 8], "--size"),
        (["--patients", 3, 0, 1], "--patients"),
        (["--patients", 3], "--patients"),
        (["--min-severity", 1.5], "--min-severity"),
        (["--modality", "xray", "--slices", 3], "--slices"),
    ],
)
def test_wrong_arguments_are_named(
    run_script: Callable, refused: Callable, tmp_path: Path, arguments: list, part: str
) -> None:
    out = tmp_path / "synthetic"
    refused(run_script("prepare.py", "synthetic", "--out", out, *arguments), part)
    assert not out.exists()


def test_an_existing_folder_is_kept(
    run_script: Callable, refused: Callable, tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    refused(run_script("prepare.py", "synthetic", "--out", tmp_path), str(tmp_path), "--out")
    assert (tmp_path / "mine.txt").read_text() == "keep"


def test_several_processes_draw_the_same_synthetic_set(
    run_script: Callable, tmp_path: Path
) -> None:
    made = []
    for count in (1, 2):
        out = tmp_path / str(count)
        options = ["--patients", "1", "1", "1", "--slices", "2", "--size", "64"]
        finished = run_script(
            "prepare.py", "synthetic", "--out", out, *options, "--processes", count
        )
        assert finished.code == 0, finished.err
        made.append({p.relative_to(out): p.read_bytes() for p in out.rglob("*") if p.is_file()})
    assert len(made[0]) > 20
    assert made[0] == made[1]
