import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from saved_network import SIZE, save_network

from datasets.noise import noise_batch
from datasets.synthetic.generate import generate_patient, write_synthetic_set
from inference import weights
from inference.model import open_model
from inference.slices import predict_slices
from inference.weights_card import LIMITS
from training.checkpoint import load_checkpoint
from utils.errors import UserError

EXPORT, CARD = "inference/export.py", "inference/weights_card.py"


@pytest.fixture
def best(tmp_path: Path) -> Path:
    """The checkpoint of a small network."""
    return save_network(tmp_path / "runs" / "small" / "seed2" / "best.pt")


@pytest.fixture
def shipped(best: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small network in the place of the weights that ship."""
    path = tmp_path / "weights" / "net.pt"
    weights.export_weights(best, path)
    monkeypatch.setattr(weights, "SHIPPED", path)
    return path


def save_slice(folder: Path) -> Path:
    folder.mkdir()
    (item,) = generate_patient(seed=0, patient=0, num_slices=1, image_size=64)
    cv2.imwrite(str(folder / "slice.png"), item.image)
    return folder / "slice.png"


def test_half_precision_predicts_what_the_checkpoint_predicts(best: Path, shipped: Path) -> None:
    content = load_checkpoint(shipped)
    floating = [values for values in content["model"].values() if values.is_floating_point()]
    assert floating
    assert {values.dtype for values in floating} == {torch.half}
    assert content.keys().isdisjoint({"scores", "optimizer"})
    assert content["intensity"] == load_checkpoint(best)["intensity"]
    assert shipped.stat().st_size < 0.6 * best.stat().st_size
    images = noise_batch(3, SIZE, SIZE)["image"]
    wanted, found = (open_model(path).predictor.predict(images) for path in (best, shipped))
    assert wanted.std() > 0.1
    torch.testing.assert_close(found, wanted, rtol=0, atol=0.02)


def test_the_file_may_be_told_how_slices_are_to_be_seen(best: Path, tmp_path: Path) -> None:
    told = ["data.blur=0.6", "data.gamma=0.7", "evaluation.min_lesion_size=40"]
    weights.export_weights(best, tmp_path / "soft.pt", told)
    config = load_checkpoint(best)["config"]
    assert (config["data"]["blur"], config["data"]["gamma"]) == (0.0, 1.0)
    assert config["evaluation"]["min_lesion_size"] == 0
    config = open_model(tmp_path / "soft.pt").config
    assert (config.data.blur, config.data.gamma) == (0.6, 0.7)
    assert config.evaluation.min_lesion_size == 40
    with pytest.raises(UserError, match=r"training\.epochs"):
        weights.export_weights(best, tmp_path / "other.pt", ["training.epochs=3"])
    assert not (tmp_path / "other.pt").exists()


def test_the_file_runs_on_any_device(shipped: Path) -> None:
    config = load_checkpoint(shipped)["config"]
    assert (config["training"]["device"], config["training"]["precision"]) == ("auto", "auto")


@pytest.mark.parametrize("reason", ["size", "values"])
def test_weights_that_are_too_large_or_lose_too_much_are_not_written(
    reason: str, best: Path, tmp_path: Path, run_script: Callable, refused: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if reason == "size":
        monkeypatch.setattr(weights, "MOST_BYTES", 1000)
        said = "more than the 1,000"
    else:
        state = load_checkpoint(best)["model"]
        state["decoder.bridge.1.weight"] *= 1e6  # beyond 65,504
        save_network(best, model=state)
        said = "in half precision probabilities would differ"
    out = tmp_path / "new" / "net.pt"
    refused(run_script(EXPORT, "--checkpoint", best, "--out", out), said)
    assert not out.parent.exists()


def test_predict_takes_the_weights_that_ship_and_says_so(
    shipped: Path, run_script: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = save_slice(tmp_path / "in")
    monkeypatch.chdir(tmp_path)
    finished = run_script("predict.py", "--input", image)
    assert finished.code == 0, finished.err
    assert "no --checkpoint: the weights that ship, net.pt, of synthetic CT alone" in finished.out
    named = run_script("predict.py", "--input", image, "--checkpoint", shipped, "--out", "named")
    assert named.code == 0, named.err
    assert "no --checkpoint" not in named.out
    for kind in ("mask", "prob"):
        own, other = (Path(f) / f"slice_{kind}.png" for f in ("predicted", "named"))
        assert own.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("damage", ["cut", "spoilt", "foreign", "gone"])
def test_damaged_foreign_and_missing_weights_are_refused_in_a_line(
    damage: str, shipped: Path, run_script: Callable, refused: Callable, tmp_path: Path
) -> None:
    content = shipped.read_bytes()
    if damage == "cut":
        shipped.write_bytes(content[: len(content) // 2])
    elif damage == "spoilt":
        middle = len(content) // 2
        shipped.write_bytes(content[:middle] + bytes(64) + content[middle + 64 :])
    elif damage == "foreign":
        torch.save({"state_dict": {"layer.weight": torch.zeros(3)}}, shipped)
    else:
        shipped.unlink()
    image, out = save_slice(tmp_path / "in"), tmp_path / "out"
    refused(run_script("predict.py", "--input", image, "--out", out), shipped.name)
    assert not out.exists()


@pytest.fixture
def scored(best: Path, tmp_path: Path, run_script: Callable) -> tuple[Path, Path]:
    """Weights with their card, as make weights makes them, and what test.py wrote."""
    root, out = tmp_path / "data", tmp_path / "made" / "net.pt"
    counts = {"train": 2, "val": 1, "test": 1}
    write_synthetic_set(root, num_patients=counts, num_slices=3, image_size=64, seed=0)
    content = load_checkpoint(best)
    content["config"]["data"]["root"] = str(root)
    save_network(best, config=content["config"], scores={"dice": 0.25, "mae": 0.1})
    assert run_script(EXPORT, "--checkpoint", best, "--out", out).code == 0
    options = ["--set", f"data.root={root}", "--set", "data.num_workers=0", "--no-report"]
    scores = tmp_path / "scores"
    finished = run_script("test.py", "--checkpoint", out, "--out", scores, *options)
    assert finished.code == 0, finished.err
    return out, scores


def test_the_card_tells_data_training_limits_and_the_scores_of_test_py(
    scored: tuple[Path, Path], run_script: Callable
) -> None:
    made, scores = scored
    card = json.loads(made.with_suffix(".json").read_text())
    assert card["limits"] == list(LIMITS)
    assert card["data"][0]["train"] == {"patients": 2, "slices": 6}
    assert card["training"]["steps"] == 1  # 6 slices in batches of 8, one epoch
    assert card["training"]["validation"] == {"dice": 0.25}
    assert card["bytes"] == made.stat().st_size
    assert card["scores_on_real_ct"] == []
    finished = run_script(CARD, "--weights", made, "--scores", scores)
    assert finished.code == 0, finished.err
    (row,) = json.loads(made.with_suffix(".json").read_text())["scores_on_real_ct"]
    metrics = json.loads((scores / "metrics.json").read_text())
    assert row["dice_pooled"] == metrics["dice_pooled"]
    assert (row["n"], row["data_set"], row["split"]) == (3, "data", "test")


def test_scores_of_other_weights_do_not_go_into_a_card(
    scored: tuple[Path, Path], best: Path, run_script: Callable, refused: Callable
) -> None:
    made, scores = scored
    other = made.with_name("other.pt")
    other.write_bytes(made.read_bytes())
    other.with_suffix(".json").write_bytes(made.with_suffix(".json").read_bytes())
    refused(run_script(CARD, "--weights", other, "--scores", scores), "not of other.pt")
    refused(run_script(CARD, "--weights", made, "--scores", best.parent), "no scores")
    made.write_bytes(best.read_bytes())
    refused(run_script(CARD, "--weights", made, "--scores", scores), "the card of other weights")
    assert json.loads(made.with_suffix(".json").read_text())["scores_on_real_ct"] == []


@pytest.mark.skipif(not weights.SHIPPED.is_file(), reason="make weights has not been run")
def test_the_weights_in_the_repository_find_lesions_and_are_those_of_their_card() -> None:
    card = json.loads(weights.SHIPPED.with_suffix(".json").read_text())
    assert weights.SHIPPED.stat().st_size == card["bytes"] <= weights.MOST_BYTES
    assert (weights.SHIPPED.parent / "LICENSE").is_file()
    model = open_model(weights.SHIPPED, ["training.device=cpu"])
    assert model.name.endswith(weights.SHIPPED.stem)
    drawn = generate_patient(seed=1, patient=0, num_slices=6, min_severity=0.65)
    reads = [item.image.copy for item in drawn]
    slices = predict_slices(model.predictor, reads, 6, transform=model.transform)
    found = [one.label(0.5) > 0 for one in slices]
    lesion = [item.label > 0 for item in drawn]
    assert 2 * np.sum(np.logical_and(found, lesion)) > 0.5 * (np.sum(found) + np.sum(lesion))
