"""Masks that lie wrong stop a conversion; --mask-orientation cures them."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from datasets.sources.source import CaseSlice
from preparation.checks.folder import inspect_folder
from preparation.checks.mask_fit import LESIONS, LUNGS
from preparation.checks.positions import POSITIONS, STORED, Position
from preparation.conversion.mask_orientation import (
    MaskOrientation,
    oriented_slices,
    parse_mask_orientation,
)
from tests.conftest import Finished
from tests.preparation.drawn_chests import chests, moved
from utils.errors import UserError

Run = Callable[..., Finished]
pytestmark = pytest.mark.usefixtures("undrawn")
TRANSPOSED, MIRRORED = Position(4), Position(1)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Folders image, mask and lung, with masks of some patients or all in other positions."""

    def make(lesions: Position, lungs: Position | None, only: str | None = None) -> Path:
        root = tmp_path / "scans"
        for name, chest in chests().items():
            is_wrong = only in (None, name)
            kinds = {"image": chest.image}
            kinds["mask"] = moved(chest.lesion, lesions) if is_wrong else chest.lesion
            if lungs is not None:
                kinds["lung"] = moved(chest.lung, lungs) if is_wrong else chest.lung
            for kind, planes in kinds.items():
                (root / kind).mkdir(parents=True, exist_ok=True)
                for index, plane in enumerate(planes):
                    cv2.imwrite(str(root / kind / f"{name}_z{index:03d}.png"), plane)
        return root

    return make


def stored_masks(folder: Path) -> dict[str, np.ndarray]:
    files = sorted(path for kind in ("mask", "lung") for path in folder.glob(f"*/{kind}/*.png"))
    return {f"{f.parent.name}/{f.name}": cv2.imread(str(f), cv2.IMREAD_UNCHANGED) for f in files}


def check_sound(folder: Path, *, lungs: bool = True) -> None:
    """The masks of a folder are those of the chests."""
    masks = stored_masks(folder)
    assert len(masks) == sum(len(c.image) * (1 + lungs) for c in chests().values())
    for name, chest in chests().items():
        for index in range(len(chest.image)):
            file = f"{name}_z{index:03d}.png"
            assert (masks[f"mask/{file}"] == chest.lesion[index]).all()
            if lungs:
                assert (masks[f"lung/{file}"] == chest.lung[index]).all()


@pytest.fixture
def convert(run_script: Run, tmp_path: Path) -> Callable[..., Finished]:
    """prepare.py generic into the folder out."""

    def run(source: Path, *arguments: str) -> Finished:
        return run_script(
            "prepare.py", "generic", "--from", source, "--out", tmp_path / "out", *arguments
        )

    return run


def test_sound_masks_are_converted_without_a_word(
    write: Callable, convert: Callable, tmp_path: Path
) -> None:
    finished = convert(write(STORED, STORED))
    assert (finished.code, finished.err) == (0, "")
    check_sound(tmp_path / "out")
    assert inspect_folder(tmp_path / "out").problems == []


def test_masks_that_lie_wrong_are_refused_and_what_the_line_says_cures_them(
    write: Callable, convert: Callable, refused: Callable, tmp_path: Path
) -> None:
    scans = write(TRANSPOSED, MIRRORED)
    finished = convert(scans)
    cure = "--mask-orientation transpose lungs=mirror"
    refused(finished, str(tmp_path / "out"), "lesions lie", "when transposed", cure)
    assert not (tmp_path / "out").exists()
    finished = convert(scans, *cure.split())
    assert (finished.code, finished.err) == (0, "")
    check_sound(tmp_path / "out")


@pytest.mark.parametrize("position", [POSITIONS[i] for i in (5, 8, 12)], ids=lambda p: p.name)
def test_lesions_alone_are_cured_in_every_kind_of_position(
    position: Position, write: Callable, convert: Callable, refused: Callable, tmp_path: Path
) -> None:
    scans = write(position, None)
    finished = convert(scans)
    refused(finished, "--mask-orientation ")
    name = finished.err.split("--mask-orientation ")[1].split()[0]
    assert convert(scans, "--mask-orientation", name).code == 0
    check_sound(tmp_path / "out", lungs=False)


def test_a_wrong_cure_is_refused_with_the_right_one(
    write: Callable, convert: Callable, refused: Callable
) -> None:
    scans = write(Position(5), None)
    refused(convert(scans, "--mask-orientation", "flip"), "--mask-orientation rotate-left ")


def test_masks_stay_as_stored_on_demand_and_a_note_says_so(
    write: Callable, convert: Callable, tmp_path: Path
) -> None:
    finished = convert(write(TRANSPOSED, None), "--mask-orientation", "stored")
    assert finished.code == 0
    assert finished.err.startswith("note     generic: lesions lie ")
    assert "kept as stored" in finished.err
    problems = inspect_folder(tmp_path / "out").problems
    assert len(problems) == 1
    assert problems[0].startswith(f"{tmp_path / 'out'}: lesions lie ")
    assert problems[0].endswith("--mask-orientation transpose")


def test_lung_masks_that_are_left_out_are_not_judged(write: Callable, convert: Callable) -> None:
    scans = write(STORED, MIRRORED)
    assert convert(scans).code == 2
    assert convert(scans, "--no-lungs").code == 0


def test_the_patients_that_lie_wrong_are_left_out_where_the_rest_carries_on(
    write: Callable, convert: Callable, tmp_path: Path
) -> None:
    first = sorted(chests())[0]
    scans = write(STORED, Position(2), only=first)
    assert f"of 1 patient ({first})" in convert(scans).err
    finished = convert(scans, "--keep-going")
    assert finished.code == 2
    assert finished.err.startswith("left out generic: lung masks of 1 patient")
    names = {name.rsplit("_z", 1)[0] for name in stored_masks(tmp_path / "out")}
    assert names == {f"{kind}/{name}" for kind in ("mask", "lung") for name in chests()} - {
        f"mask/{first}",
        f"lung/{first}",
    }


def test_empty_slices_that_are_left_out_still_count_for_the_order(
    write: Callable, convert: Callable, tmp_path: Path
) -> None:
    scans = write(Position(0, True), None)
    cure = ("--mask-orientation", "reverse", "--keep-empty", "none")
    assert convert(scans, *cure).code == 0
    masks = stored_masks(tmp_path / "out")
    for name, chest in chests().items():
        for index in np.flatnonzero(chest.lesion.any((1, 2))):
            assert (masks[f"mask/{name}_z{index:03d}.png"] == chest.lesion[index]).all()
    assert len(masks) == sum(int(c.lesion.any((1, 2)).sum()) for c in chests().values())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], MaskOrientation()),
        (["Transpose"], MaskOrientation(lesions=TRANSPOSED)),
        (["transpose", "lungs=mirror"], MaskOrientation(TRANSPOSED, MIRRORED)),
        (["lesions=flip+reverse"], MaskOrientation(Position(2, True))),
        (["reverse"], MaskOrientation(Position(0, True))),
        (["stored"], MaskOrientation(as_stored=frozenset({LESIONS}))),
        (["lungs=stored"], MaskOrientation(as_stored=frozenset({LUNGS}))),
    ],
)
def test_positions_are_read(words: list[str], expected: MaskOrientation) -> None:
    assert parse_mask_orientation(words) == expected


@pytest.mark.parametrize("word", ["sideways", "lung=", "bones=flip", "flip+mirror", "", "="])
def test_an_unknown_position_is_refused(word: str) -> None:
    with pytest.raises(UserError, match=r"--mask-orientation .*: choose stored, mirror, flip"):
        parse_mask_orientation([word])


def test_a_kind_has_one_position() -> None:
    with pytest.raises(UserError, match="a second position of the lesions"):
        parse_mask_orientation(["flip", "masks=mirror"])


def test_edges_follow_the_lesions_and_missing_masks_stay_missing() -> None:
    plane = np.arange(9, dtype=np.uint8).reshape(3, 3)

    def read(bits: int) -> list[CaseSlice]:
        assert bits == 8
        return [CaseSlice(0, plane, plane, None, plane > 4), CaseSlice(1, plane, plane + 9)]

    wanted = MaskOrientation(Position(4, True), Position(1, True))
    first, second = oriented_slices(read, 8, wanted)
    assert (first.label == plane.T + 9).all()
    assert first.edge is None
    assert (second.label == plane.T).all()
    assert (second.edge == (plane > 4).T).all()
    assert (first.lung, second.lung) == (None, None)
    assert (first.image == plane).all()


def test_sides_of_images_that_are_not_square_are_not_exchanged() -> None:
    plane = np.zeros((3, 4), np.uint8)
    with pytest.raises(UserError, match=r"--mask-orientation transpose: .* 3 x 4 px"):
        list(
            oriented_slices(
                lambda bits: [CaseSlice(0, plane, plane)], 8, MaskOrientation(TRANSPOSED)
            )
        )
