import json
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import cv2
import nibabel as nib
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from saved_network import SIZE, save_network

from datasets.intensity import LUNG_WINDOW
from datasets.synthetic.generate import generate_patient
from inference import export
from inference.model import open_model
from inference.slices import predict_slices
from training.checkpoint import load_checkpoint

COMMAND = "inference/export.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint, small/seed2/best.pt, and new/net.onnx and out.txt that the command wrote."""
    root = tmp_path_factory.mktemp("exported")
    best = save_network(root / "small" / "seed2" / "best.pt")
    arguments = ["--checkpoint", str(best), "--out", str(root / "new" / "net.onnx")]
    with pytest.MonkeyPatch.context() as patch, (root / "out.txt").open("w") as out:
        patch.setattr(sys, "argv", ["export", *arguments])
        with redirect_stdout(out):
            export.main()
    return root


def ct_slices() -> list[np.ndarray]:
    """CT of a synthetic patient, (H, W) uint8."""
    return [item.image for item in generate_patient(seed=0, patient=0, num_slices=5, image_size=64)]


def test_probabilities_are_those_of_the_checkpoint_and_masks_are_equal(folder: Path) -> None:
    models = [open_model(folder / name) for name in ("small/seed2/best.pt", "new/net.onnx")]
    reads = [image.copy for image in ct_slices()]
    wanted, found = (list(predict_slices(model.predictor, reads, 2)) for model in models)
    for one, other in zip(wanted, found, strict=True):
        np.testing.assert_allclose(other.prob, one.prob, atol=1e-4)
        near = abs(one.prob[0] - 0.5) < 1e-4
        np.testing.assert_array_equal(other.label(0.5)[~near], one.label(0.5)[~near])
        assert near.mean() < 1e-3
        assert 0.05 < one.label(0.5).mean() < 0.95


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_batches_of_any_size_run_in_any_runtime(folder: Path, batch_size: int) -> None:
    session = onnxruntime.InferenceSession(
        folder / "new/net.onnx", providers=["CPUExecutionProvider"]
    )
    images = np.random.default_rng(0).normal(size=(batch_size, 1, SIZE, SIZE)).astype(np.float32)
    (prob,) = session.run(["prob"], {"image": images})
    assert prob.shape == images.shape
    assert 0 <= prob.min() < prob.max() <= 1


def test_the_file_says_how_slices_are_prepared_and_what_was_trained(folder: Path) -> None:
    proto = onnx.load(folder / "new/net.onnx")
    onnx.checker.check_model(proto)
    facts = {item.key: json.loads(item.value) for item in proto.metadata_props}
    assert facts["image_size"] == [SIZE, SIZE]
    assert facts["threshold"] == 0.5
    assert facts["classes"] == 1
    assert facts["intensity"] == LUNG_WINDOW.to_plain()
    assert facts["config"]["model"]["name"] == "resunet"
    model = open_model(folder / "new/net.onnx", ["evaluation.threshold=0.25"], flip=True)
    assert (model.threshold, *model.data_properties[:2]) == (0.25, LUNG_WINDOW, 8)
    assert model.name == "resunet small"
    assert "epoch 1, ONNX on cpu, mirrored as well" in model.description


def test_predict_takes_it_as_a_checkpoint(
    folder: Path, run_script: Callable, tmp_path: Path
) -> None:
    values = np.stack(ct_slices()).astype(np.float32) / 255 * 1500 - 1250
    nib.save(nib.Nifti1Image(values.T, np.diag([-0.7, -0.7, 5, 1])), tmp_path / "scan.nii")
    cv2.imwrite(str(tmp_path / "slice.png"), ct_slices()[2])
    for name in ("small/seed2/best.pt", "new/net.onnx"):
        arguments = ["--checkpoint", folder / name, "--out", tmp_path / folder.name / name]
        inputs = ["--input", tmp_path / "scan.nii", tmp_path / "slice.png"]
        finished = run_script("predict.py", *arguments, *inputs, "--no-severity")
        assert finished.code == 0, finished.err
    outs = [tmp_path / folder.name / name for name in ("small/seed2/best.pt", "new/net.onnx")]
    levels = [cv2.imread(str(out / "slice_prob.png"), -1).astype(int) for out in outs]
    assert abs(levels[0] - levels[1]).max() <= 1
    masks = [np.asarray(nib.load(out / "scan_mask.nii.gz").dataobj) for out in outs]
    assert (masks[0] != masks[1]).mean() < 1e-3


def test_the_command_says_how_near_it_is_and_leaves_nothing_else(folder: Path) -> None:
    first, second = (folder / "out.txt").read_text().splitlines()
    assert first == f"{folder / 'new' / 'net.onnx'}: resunet, epoch 1, batches of 32 x 32 px"
    words, difference = second.rsplit(maxsplit=1)
    assert words == "its probabilities are those of the checkpoint to"
    assert float(difference) <= 1e-4
    assert [path.name for path in (folder / "new").iterdir()] == ["net.onnx"]


def test_what_cannot_be_exported_is_refused_and_nothing_written(
    folder: Path, run_script: Callable, refused: Callable, tmp_path: Path
) -> None:
    best, out = folder / "small" / "seed2" / "best.pt", tmp_path / "net.onnx"
    refused(run_script(COMMAND, "--checkpoint", tmp_path / "no.pt", "--out", out), "no.pt")
    refused(
        run_script(COMMAND, "--checkpoint", best, "--out", tmp_path / "net.pth"), ".onnx or .pt"
    )
    refused(run_script(COMMAND, "--checkpoint", best, "--out", best / "net.onnx"), "--out")
    content = load_checkpoint(best)
    content["model"]["fusion.head.bias"].fill_(float("nan"))
    torch.save(content, tmp_path / "nan.pt")
    finished = run_script(COMMAND, "--checkpoint", tmp_path / "nan.pt", "--out", out)
    refused(finished, str(out), "not written", "NaN")
    assert [path.name for path in tmp_path.iterdir()] == ["nan.pt"]


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_a_missing_package_is_named(
    folder: Path,
    run_script: Callable,
    refused: Callable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    package: str,
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    best = folder / "small" / "seed2" / "best.pt"
    arguments = ["--checkpoint", best, "--out", tmp_path / "net.onnx"]
    refused(run_script(COMMAND, *arguments), f"{package} is not installed", "pip install")
    assert list(tmp_path.iterdir()) == []


def test_without_onnxruntime_an_exported_network_cannot_be_used(
    folder: Path, run_script: Callable, refused: Callable, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    cv2.imwrite(str(tmp_path / "slice.png"), ct_slices()[0])
    arguments = ["--checkpoint", folder / "new/net.onnx", "--out", tmp_path / "out"]
    finished = run_script("predict.py", *arguments, "--input", tmp_path / "slice.png")
    refused(finished, "pip install onnxruntime")


def test_foreign_and_damaged_files_are_refused(
    folder: Path, run_script: Callable, refused: Callable, tmp_path: Path
) -> None:
    proto = onnx.load(folder / "new/net.onnx")
    del proto.metadata_props[:]
    onnx.save(proto, tmp_path / "foreign.onnx")
    for name, spoilt in (("deep", "[" * 100_000), ("half", "0.5"), ("key", '{"a\\nb": 1}')):
        entries = {"format": "1", "name": '""', "epoch": "1", "config": spoilt}
        onnx.helper.set_model_props(proto, entries)
        onnx.save(proto, tmp_path / f"{name}.onnx")
    data = (folder / "new/net.onnx").read_bytes()
    (tmp_path / "cut.onnx").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.onnx").write_text("no network")
    cv2.imwrite(str(tmp_path / "slice.png"), ct_slices()[0])
    common = ["--out", tmp_path / "out", "--input", tmp_path / "slice.png", "--checkpoint"]
    for name, part in (
        ("foreign.onnx", "python -m inference.export"),
        ("deep.onnx", "damaged metadata (nested too deeply)"),
        ("half.onnx", "damaged metadata"),
        ("key.onnx", r"a\nb: unknown key"),
        ("cut.onnx", "damaged"),
        ("text.onnx", "damaged"),
    ):
        refused(run_script("predict.py", *common, tmp_path / name), name, part)
    override = ["--set", "training.precision=bf16"]
    finished = run_script("predict.py", *common, folder / "new/net.onnx", *override)
    refused(finished, "training.precision", "the checkpoint decides it")
    assert not (tmp_path / "out").exists()
