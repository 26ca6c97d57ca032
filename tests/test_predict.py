import json
from collections.abc import Callable
from pathlib import Path

import cv2
import highdicom as hd
import nibabel as nib
import numpy as np
import pydicom
import pytest
import torch
from dicom_files import CORONAL, write_series
from saved_network import save_network

from datasets.image_io import read_gray, write_png
from datasets.intensity import LUNG_WINDOW
from datasets.volumes import find_series, open_series
from tests.severity.chest import SPACING, make_chest
from training.checkpoint import load_checkpoint

IMAGE_FILES = ["{}_mask.png", "{}_overlay.png", "{}_prob.png"]
VOLUME_FILES = ["{}_mask.nii.gz", "{}_prob.nii.gz", "{}_sheet.png"]
SEVERITY_FILES = ["{}_severity.csv", "{}_severity.html", "{}_severity.json"]


@pytest.fixture
def best(tmp_path: Path) -> Path:
    """The checkpoint of a small network."""
    return save_network(tmp_path / "runs" / "small" / "seed2" / "best.pt")


@pytest.fixture
def predict(run_script: Callable, best: Path, tmp_path: Path) -> Callable:
    """Run predict.py with the checkpoint; outputs go to <tmp_path>/out."""

    def run(*arguments: str | Path) -> object:
        common = ["--checkpoint", best, "--out", tmp_path / "out"]
        return run_script("predict.py", *common, "--input", *arguments)

    return run


def hounsfield(num_slices: int = 5, size: int = 40, seed: int = 0) -> np.ndarray:
    """Smooth noise over the range of a chest, (slices, rows, columns) int16."""
    noise = np.random.default_rng(seed).normal(size=(num_slices, size, size)).astype(np.float32)
    smooth = np.stack([cv2.GaussianBlur(one, (0, 0), 3) for one in noise])
    return np.rint(-500 + 300 * smooth / smooth.std()).clip(-1024, 1000).astype(np.int16)


def save_scan(path: Path, values: np.ndarray | None = None) -> Path:
    """Write a NIfTI file in RAS of (columns, rows, slices)."""
    values = hounsfield() if values is None else values
    image = nib.Nifti1Image(values.transpose(2, 1, 0), np.diag([0.8, 0.7, 2.5, 1]))
    image.header["descrip"] = b"from the scanner"
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)
    return path


def names_in(folder: Path) -> list[str]:
    """Every file below a folder, hidden ones too."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def called(stem: str, endings: list[str]) -> list[str]:
    """The files of a case."""
    return [ending.format(stem) for ending in endings]


def test_images_get_the_maps_of_test_py(
    run_script: Callable, predict: Callable, best: Path, data_root: Path, tmp_path: Path
) -> None:
    own = ["--set", f"data.root={data_root}", "--set", "data.num_workers=0"]
    scored = run_script("test.py", "--checkpoint", best, "--save-maps", *own)
    assert scored.code == 0, scored.err
    finished = predict(data_root / "test" / "image")
    assert finished.code == 0, finished.err
    maps = sorted((best.parent / "data" / "maps").glob("*.png"))
    assert len(maps) == 4
    for path in maps:
        prob, mask, overlay = (
            cv2.imread(str(tmp_path / "out" / f"{path.stem}_{kind}.png"), -1)
            for kind in ("prob", "mask", "overlay")
        )
        np.testing.assert_array_equal(prob, read_gray(path))
        assert 0.1 < (mask == 255).mean() < 0.9
        np.testing.assert_array_equal(mask == 255, prob >= 127.5)
        image = read_gray(data_root / "test" / "image" / path.name)
        drawn = (overlay != image[..., None]).any(-1)
        assert drawn.any()
        assert not (drawn & (mask > 0)).any()
    stems = [path.stem for path in maps]
    wanted = [name for stem in stems for name in called(stem, IMAGE_FILES)]
    assert names_in(tmp_path / "out") == sorted([*wanted, "contact_sheet.png"])
    assert cv2.imread(str(tmp_path / "out" / "contact_sheet.png")).shape[1] == 1236
    assert "4 images: lesion in 4" in finished.out


def test_nifti_files_keep_the_geometry_of_their_input(predict: Callable, tmp_path: Path) -> None:
    path = tmp_path / "scan.nii.gz"
    nib.save(nib.Nifti1Image(make_chest().hu.transpose(2, 1, 0), np.diag([-3, -3, 5, 1])), path)
    finished = predict(path)
    assert finished.code == 0, finished.err
    out = tmp_path / "out"
    assert names_in(out) == sorted(called("scan", VOLUME_FILES + SEVERITY_FILES))
    assert "HU -1250 to 250" in finished.out
    scan, mask, prob = (
        nib.load(p) for p in (path, out / "scan_mask.nii.gz", out / "scan_prob.nii.gz")
    )
    for image in (mask, prob):
        np.testing.assert_array_equal(image.affine, scan.affine)
        assert image.get_data_dtype() == np.uint8
        assert image.header.get_zooms() == scan.header.get_zooms()
    assert prob.dataobj.slope == pytest.approx(1 / 255)
    values = np.asarray(mask.dataobj)
    np.testing.assert_array_equal(values, np.asarray(prob.dataobj) >= 0.5)
    assert 0.1 < values.mean() < 0.9
    severity = json.loads((out / "scan_severity.json").read_text())
    millilitres = values.sum() * 3 * 3 * 5 / 1000
    assert severity["lesion_ml"] == pytest.approx(millilitres, rel=0.01)


def test_a_scan_is_predicted_as_its_slices_are_as_prepared_images(
    predict: Callable, tmp_path: Path
) -> None:
    values = hounsfield()
    save_scan(tmp_path / "in" / "scan.nii", values)
    for index, one in enumerate(values):  # rows of RAS run to the front, shown ones to the back
        shown = LUNG_WINDOW.apply(one[::-1, ::-1].astype(np.float32))
        write_png(tmp_path / "in" / f"scan_z{index:03d}.png", shown)
    assert predict(tmp_path / "in", "--no-severity", "--smoothing", 0).code == 0
    mask = np.asarray(nib.load(tmp_path / "out" / "scan_mask.nii.gz").dataobj)
    for index in range(len(values)):
        image = read_gray(tmp_path / "out" / f"scan_z{index:03d}_mask.png")
        np.testing.assert_array_equal(mask[::-1, ::-1, index].T, image // 255)


@pytest.mark.parametrize("orientation", [(1, 0, 0, 0, 1, 0), CORONAL], ids=["axial", "coronal"])
def test_a_dicom_series_gets_a_segmentation_that_refers_to_it(
    predict: Callable, tmp_path: Path, orientation: tuple[int, ...]
) -> None:
    write_series(tmp_path / "in", hounsfield(), orientation=orientation)
    finished = predict(tmp_path / "in", "--no-severity")
    assert finished.code == 0, finished.err
    stem = "series_2_Thorax_1_0_B70f"
    out = tmp_path / "out"
    assert names_in(out) == sorted([*called(stem, VOLUME_FILES), f"{stem}_seg.dcm"])
    segmentation = hd.seg.segread(out / f"{stem}_seg.dcm")
    assert segmentation.SegmentationType == "BINARY"
    assert segmentation.PatientID == "P1"
    (segment,) = segmentation.SegmentSequence
    assert segment.SegmentLabel == "Lesion"
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Lesion"
    algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
    assert algorithm.AlgorithmName == "resunet small"
    assert algorithm.AlgorithmVersion.startswith("sha256:")
    (series,) = find_series(tmp_path / "in")
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in series.files]
    frames = segmentation.get_pixels_by_source_instance(
        [header.SOPInstanceUID for header in headers], ignore_spatial_locations=True,
        assert_missing_frames_are_empty=True,
    )[..., 0]  # fmt: skip
    mask = nib.load(out / f"{stem}_mask.nii.gz")
    with open_series(series) as volume:
        np.testing.assert_allclose(mask.affine, volume.view.affine, atol=1e-4)
        axial = volume.view.of(np.asarray(mask.dataobj))
        np.testing.assert_array_equal(frames, volume.frames_of(axial))
    assert 0.1 < frames.mean() < 0.9


def test_without_lesion_there_is_no_segmentation_nor_one_of_an_earlier_run(
    predict: Callable, best: Path, tmp_path: Path
) -> None:
    write_series(tmp_path / "in", make_chest().hu[20:26].clip(-1000, 1000), spacing=SPACING)
    assert predict(tmp_path / "in").code == 0
    assert len(names_in(tmp_path / "out")) == 7
    content = load_checkpoint(best)
    content["model"]["fusion.head.bias"].fill_(-1e6)
    torch.save(content, best)
    finished = predict(tmp_path / "in", "--no-severity")
    assert finished.code == 0, finished.err
    assert "no lesion, so no DICOM SEG" in finished.out
    assert names_in(tmp_path / "out") == called("series_2_Thorax_1_0_B70f", VOLUME_FILES)


def test_a_patient_id_can_be_given(predict: Callable, tmp_path: Path) -> None:
    write_series(tmp_path / "in", hounsfield(), patient=None)
    assert predict(tmp_path / "in", "--no-severity", "--patient-id", "Q7").code == 0
    (path,) = (tmp_path / "out").glob("*_seg.dcm")
    assert pydicom.dcmread(path).PatientID == "Q7"


def test_everything_in_a_folder_is_predicted_into_equal_sub_folders_again_and_again(
    predict: Callable, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    save_scan(folder / "a" / "scan.nii")
    save_scan(folder / "b" / "scan.nii.gz", hounsfield(seed=1))
    write_series(folder / "c", hounsfield(seed=2), number=1, seed="one")
    write_series(folder / "c", hounsfield(seed=3), number=3, seed="two", names="X{}".format)
    write_png(folder / "slice.png", np.arange(1600, dtype=np.uint8).reshape(40, 40))
    (folder / "readme.txt").write_text("of the hospital")
    out = folder / "out"  # within the inputs, and yet not searched
    seen = []
    for _ in range(2):
        finished = predict(folder, "--no-severity", "--out", out)
        assert finished.code == 0, finished.err
        assert "warning: 1 file is no case: readme.txt" in finished.out
        seen.append({name: (out / name).read_bytes() for name in names_in(out)})
    wanted = [called(f"{place}/scan", VOLUME_FILES) for place in "ab"]
    for number in (1, 3):
        stem = f"c/series_{number}_Thorax_1_0_B70f"
        wanted.append([*called(stem, VOLUME_FILES), f"{stem}_seg.dcm"])
    wanted.append(called("slice", IMAGE_FILES))
    assert sorted(seen[0]) == sorted(name for names in wanted for name in names)
    for name, content in seen[0].items():  # a SEG has the time in it
        assert name.endswith("_seg.dcm") or content == seen[1][name], name
