"""Class maps: which classes there are, how they are read, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from datasets.batches import SeededBatches, create_loader
from datasets.cache import open_cache
from datasets.card import CARD_FILE
from datasets.classes import choose_classes, to_channels, to_values
from datasets.edges import edge_of_mask
from datasets.inspection import SplitInspection, inspect_slices
from datasets.pairing import find_slices
from datasets.slices import OnDevice, SliceDataset
from datasets.transforms import Augmentation, SliceTransform
from tests.datasets.drawn_slices import SHAPE, STRONGEST, box, grey, write
from utils.errors import UserError

CLASSES = {"consolidation": 75, "ground-glass": 38}  # not in the order of their values
LABEL = box(6, 4, value=38) + box(6, 20, side=8, value=75)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two slices with class maps, whose masks have the lesion alone."""
    for name, label in {"a_z000": LABEL, "b_z000": 38 * (LABEL == 38)}.items():
        write(tmp_path, name, image=grey(), mask=(label > 0).astype(np.uint8), label=label)
    card = {"sources": [], "intensity": None, "bits": 8}
    card["labels"] = {"75": "consolidation", "38": "ground-glass"}
    (tmp_path / CARD_FILE).write_text(json.dumps(card))
    return tmp_path


def inspect(root: Path, classes: dict[str, int] = CLASSES) -> SplitInspection:
    return inspect_slices(find_slices(root, "train", of_classes=True), classes=classes)


def open_dataset(
    root: Path, augmentation: Augmentation | None = None, **options: object
) -> SliceDataset:
    slices = find_slices(root, "train", of_classes=True)
    transform = SliceTransform(SHAPE, augmentation)
    return SliceDataset(slices, inspect(root).encoding, transform, 2, **options)


def test_classes_come_from_the_card_by_value_or_in_the_order_of_their_names(root: Path) -> None:
    by_value = [("ground-glass", 38), ("consolidation", 75)]
    assert list(choose_classes("all", root).items()) == by_value
    wanted = ["consolidation", "ground-glass"]
    assert list(choose_classes(wanted, root).items()) == by_value[::-1]
    assert choose_classes({"x": 3}, root / "nowhere") == {"x": 3}
    assert choose_classes(None, root / "nowhere") == {}


def test_a_class_that_the_card_lacks_is_refused_with_the_nearest(root: Path) -> None:
    with pytest.raises(UserError, match=r"no class 'ground glass', did you mean ground-glass\?"):
        choose_classes(["ground glass"], root)
    (root / CARD_FILE).unlink()
    with pytest.raises(UserError, match=r"dataset\.json names no classes; give their values"):
        choose_classes("all", root)


def test_channels_follow_the_order_of_the_classes_and_lead_back_to_the_values() -> None:
    stored = np.array([[0, 38, 75, 9]], np.uint16)
    channels = to_channels(stored, [75, 38])
    assert channels.tolist() == [[0, 2, 1, 0]]
    assert channels.dtype == np.uint8
    assert to_values(channels, [75, 38]).tolist() == [[0, 38, 75, 0]]
    assert to_values(channels, [75, 300]).dtype == np.uint16


def test_an_item_has_classes_any_lesion_and_the_edges_between_classes(root: Path) -> None:
    item = open_dataset(root)[0]
    expected = np.where(LABEL == 75, 1, 0) + np.where(LABEL == 38, 2, 0)
    assert item["label"].dtype == torch.int64
    assert (item["label"].numpy() == expected).all()
    assert (item["mask"][0].numpy() == (LABEL > 0)).all()
    assert not item["edge"][0, 10, 8:12].any()  # within a box


def test_edges_run_between_classes_that_touch() -> None:
    touching = torch.zeros(6, 8, dtype=torch.uint8)
    touching[1:5, 1:4], touching[1:5, 4:7] = 1, 2
    edge = edge_of_mask(touching, 2)
    outline = edge_of_mask((touching > 0).to(torch.uint8), 2)
    assert edge[2:4, 3:5].all()
    assert not outline[2:4, 3:5].any()
    assert (edge >= outline).all()


def test_without_classes_an_item_has_no_label(root: Path) -> None:
    slices = find_slices(root, "train")
    dataset = SliceDataset(slices, inspect_slices(slices).encoding, SliceTransform(SHAPE), 2)
    assert "label" not in dataset[0]
    assert torch.equal(dataset[0]["mask"], open_dataset(root)[0]["mask"])


@pytest.mark.parametrize("augmentation", [None, STRONGEST])
def test_both_ways_of_finishing_agree_and_make_no_new_class(
    root: Path, augmentation: Augmentation | None
) -> None:
    transform = SliceTransform(SHAPE, augmentation)
    loaded = []
    for is_finished in (True, False):
        dataset = open_dataset(root, augmentation, is_finished=is_finished)
        loader = create_loader(dataset, SeededBatches(2, 2, seed=5), num_workers=0)
        if not is_finished:
            loader = OnDevice(loader, transform, 2, torch.device("cpu"), has_classes=True)
        loaded.append(next(iter(loader)))
    one, other = loaded
    assert one.keys() == other.keys()
    assert all(torch.equal(one[k], other[k]) for k in one if torch.is_tensor(one[k]))
    assert one["label"].shape == (2, *SHAPE)
    assert set(one["label"].unique().tolist()) == {0, 1, 2}
    assert torch.equal(one["label"] > 0, one["mask"][:, 0] > 0)


def test_a_cached_class_map_is_read_as_the_file(root: Path) -> None:
    slices = find_slices(root, "train", of_classes=True)
    facts, cache = open_cache(root, "classes-train", slices, 16)
    assert inspect_slices(slices, None, facts, CLASSES) == inspect(root)
    cached, decoded = open_dataset(root, cache=cache)[0], open_dataset(root)[0]
    assert cache.num_cached == 2
    assert torch.equal(cached["label"], decoded["label"])


def test_values_that_are_no_class_are_listed_with_their_counts_and_a_file(root: Path) -> None:
    for name, value in {"c_z000": 9, "d_z000": 200}.items():
        bad = box(0, 0, side=3, value=value) + box(20, 20, side=2, value=9)
        write(root, name, image=grey(), mask=(bad > 0).astype(np.uint8), label=bad)
    with pytest.raises(UserError) as caught:
        inspect(root)
    text = str(caught.value)
    assert "c_z000.png: one of 2 class maps" in text
    assert "9 (17 px), 200 (9 px)" in text  # 9 + 4 px and 4 px; 9 px
    assert "\n" not in text


def test_slices_that_show_a_class_are_counted_with_zero_for_an_absent_one(root: Path) -> None:
    counts = inspect(root, {**CLASSES, "effusion": 5}).slices_per_class
    assert counts == {"consolidation": 1, "ground-glass": 2, "effusion": 0}


def test_masks_are_class_maps_where_there_is_no_folder_of_labels(tmp_path: Path) -> None:
    write(tmp_path, "a", image=grey(), mask=LABEL)
    assert (open_dataset(tmp_path)[0]["label"] > 0).sum() == (LABEL > 0).sum()


def test_a_slice_without_its_class_map_is_refused(root: Path) -> None:
    (root / "train" / "label" / "b_z000.png").unlink()
    with pytest.raises(UserError, match=r"b_z000\.png: its mask .*label.b_z000\.\* is missing"):
        find_slices(root, "train", of_classes=True)
