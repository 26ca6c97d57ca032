"""A few slices whose lesions lie wrong among many that lie right are named, and no others."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from datasets.card import X_RAYS, DataCard, write_card
from preparation.checks.folder import inspect_folder
from preparation.checks.positions import Position
from tests.preparation.drawn_chests import chests, moved


def write_set(root: Path, wrong: dict[int, Position]) -> list[str]:
    """Every slice of a patient of its own; the lesions of some lie in a wrong position."""
    images = np.concatenate([chest.image for chest in chests().values()])
    lesions = np.concatenate([chest.lesion for chest in chests().values()])
    names = [f"case{place:03d}" for place in range(len(images))]
    for place, name in enumerate(names):
        split = ("train", "val", "test")[place % 3]
        lesion = moved(lesions[place : place + 1], wrong.get(place, Position()))[0]
        for kind, pixels in (("image", images[place]), ("mask", lesion)):
            folder = root / split / kind
            folder.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / f"{name}.png"), np.ascontiguousarray(pixels))
    return names


def some() -> list[int]:
    """Slices with much lesion, but not the most: that fills both lungs."""
    lesions = np.concatenate([chest.lesion for chest in chests().values()])
    return np.argsort((lesions > 0).sum((1, 2)))[::-1][6:26:4].tolist()


def suspicions(root: Path) -> list[str]:
    return [note for note in inspect_folder(root, allow_leak=True).notes if "look at them" in note]


def test_sound_slices_are_not_suspicious(tmp_path: Path) -> None:
    write_set(tmp_path, {})
    assert suspicions(tmp_path) == []


@pytest.mark.parametrize("turned", range(1, 8))
def test_a_few_slices_that_lie_wrong_are_named_with_what_puts_them_right(
    turned: int, tmp_path: Path
) -> None:
    wrong = dict.fromkeys(some(), Position(turned))
    names = write_set(tmp_path, wrong)
    (note,) = suspicions(tmp_path)
    right = next(Position(i) for i in range(8) if Position(i).after(Position(turned)) == Position())
    found = {place for place in wrong if f"{names[place]} ({right.words})" in note}
    assert len(found) >= 2
    assert note.count("case") == len(found)


def test_slices_of_x_rays_are_not_suspected(tmp_path: Path) -> None:
    write_set(tmp_path, dict.fromkeys(some(), Position(4)))
    assert suspicions(tmp_path)
    write_card(tmp_path, DataCard((), None, 8, {1: "lesion"}, X_RAYS[0]))
    assert suspicions(tmp_path) == []


def test_masks_that_all_lie_wrong_are_a_problem_and_no_suspicion(tmp_path: Path) -> None:
    write_set(tmp_path, {place: Position(4) for place in range(48)})
    check = inspect_folder(tmp_path, allow_leak=True)
    assert any("--mask-orientation transpose" in problem for problem in check.problems)
    assert suspicions(tmp_path) == []


def test_masks_that_are_set_where_nothing_is_are_a_problem(tmp_path: Path) -> None:
    for place, name in enumerate(write_set(tmp_path, {})):
        path = tmp_path / ("train", "val", "test")[place % 3] / "mask" / f"{name}.png"
        cv2.imwrite(str(path), 255 - cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
    problems = [one for one in inspect_folder(tmp_path, allow_leak=True).problems if "cover" in one]
    assert len(problems) == 1
    assert problems[0].endswith("% of the images: they look inverted")
