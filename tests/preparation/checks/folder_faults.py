"""Damage to a data folder, and what a check says of it."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from tests.preparation.conversion.drawn_cases import draw


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


def read(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def add_row(root: Path, row: str) -> None:
    with (root / "manifest.csv").open("a") as stream:
        stream.write(row + "\n")


def drop_row(root: Path, name: str) -> None:
    path = root / "manifest.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line for line in lines if name not in line) + "\n")


def as_jpeg(root: Path) -> None:
    path = root / "train/mask/a_z000.png"
    write(path.with_suffix(".jpg"), np.zeros((64, 64), np.uint8))
    path.unlink()
    write(root / "train/label/a_z000.png", np.zeros((64, 64), np.uint8))


FAULTS: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "a missing mask": (
        lambda root: (root / "train/mask/a_z000.png").unlink(),
        ["train/image/a_z000.png: its mask "],
    ),
    "a missing image": (
        lambda root: (root / "train/image/a_z000.png").unlink(),
        [
            "train/mask/a_z000.png: its image ",
            "train/label/a_z000.png: its image ",
            "train/lung/a_z000.png: its image ",
            "manifest.csv:2: its file ",
        ],
    ),
    "two files of one stem": (
        lambda root: write(root / "val/image/c_z000.bmp", draw(5)),
        ["val/image/c_z000.png: "],
    ),
    "a truncated image": (
        lambda root: truncate(root / "val/image/c_z001.png"),
        ["val/image/c_z001.png: a truncated or damaged PNG"],
    ),
    "a truncated mask": (
        lambda root: truncate(root / "val/mask/c_z001.png"),
        ["val/mask/c_z001.png: a truncated or damaged PNG"],
    ),
    "a mask of another size": (
        lambda root: write(root / "val/mask/c_z001.png", np.zeros((32, 64), np.uint8)),
        ["val/mask/c_z001.png: 32 x 64 px, but "],
    ),
    "a coloured image": (
        lambda root: write(root / "val/image/c_z001.png", np.dstack([draw(1), draw(2), draw(3)])),
        ["val/image/c_z001.png: a coloured image"],
    ),
    "unexpected mask values": (
        lambda root: write(root / "val/mask/c_z001.png", read(root / "val/mask/c_z001.png") // 4),
        ["val/mask/c_z001.png: unexpected mask values 63"],
    ),
    "masks of 0/1 among masks of 0/255": (
        lambda root: write(
            root / "train/mask/a_z001.png", read(root / "train/mask/a_z001.png") // 255
        ),
        ["train/mask/a_z001.png: 0 and 1, but most masks hold 0 and 255"],
    ),
    "a JPEG mask": (as_jpeg, ["train/mask/a_z000.jpg: JPEG changes the values of a mask file"]),
    "a constant image": (
        lambda root: write(root / "val/image/c_z001.png", np.full((64, 64), 7, np.uint8)),
        ["val/image/c_z001.png: all px have the grey level 7"],
    ),
    "16 bits where the card says 8": (
        lambda root: write(root / "val/image/c_z001.png", draw(77).astype(np.uint16) * 257),
        ["val/image/c_z001.png: 16 bits, but dataset.json says 8"],
    ),
    "a label of other px than the mask": (
        lambda root: write(root / "val/label/c_z001.png", np.eye(64, dtype=np.uint8)),
        ["val/label/c_z001.png: marks other px than its mask"],
    ),
    "a class without a name": (
        lambda root: write(root / "val/label/c_z001.png", 3 * read(root / "val/label/c_z001.png")),
        ["val/label/c_z001.png: classes 3 that dataset.json does not name"],
    ),
    "no lesion in a split": (
        lambda root: [
            write(root / f"val/{kind}/c_z00{index}.png", np.zeros((64, 64), np.uint8))
            for kind in ("mask", "label")
            for index in range(2)
        ],
        ["val/mask: no mask shows a lesion"],
    ),
    "a row without a file": (
        lambda root: add_row(root, "e_z000.png,train,b"),
        ["manifest.csv:10: its file "],
    ),
    "a row that stands twice": (
        lambda root: add_row(root, "a_z000.png,train,a"),
        ["manifest.csv:10: a second row of a_z000"],
    ),
    "a file without a row": (
        lambda root: drop_row(root, "a_z000"),
        ["train/image/a_z000.png: no row in "],
    ),
    "a malformed spacing": (
        lambda root: (root / "manifest.csv").write_text(
            (root / "manifest.csv").read_text().replace("64,64,,", "64,64,1x2x3x4,", 1)
        ),
        ["manifest.csv:2: spacing_mm '1x2x3x4'"],
    ),
    "a manifest without patients": (
        lambda root: (root / "manifest.csv").write_text(
            (root / "manifest.csv").read_text().replace("patient", "who")
        ),
        ["manifest.csv: no column patient"],
    ),
    "a split list that is no JSON": (
        lambda root: (root / "splits.json").write_text("{"),
        ["splits.json: not a list of patients by split"],
    ),
    "a split list that is nested without end": (
        lambda root: (root / "splits.json").write_text("[" * 100_000),
        ["splits.json: not a list of patients by split"],
    ),
    "a split list of other patients": (
        lambda root: (root / "splits.json").write_text(
            json.dumps({"train": ["a", "x"], "val": ["c"], "test": ["d"]})
        ),
        ["splits.json: train lists x", "splits.json: train does not list b"],
    ),
    "a malformed card": (
        lambda root: (root / "dataset.json").write_text('{"sources": 1}'),
        ["dataset.json: not a data card"],
    ),
    "a near-duplicate slice": (
        lambda root: write(
            root / "test/image/d_z001.png", read(root / "train/image/a_z000.png")[:, ::-1]
        ),
        [": train/a_z000 and test/d_z001 show the same slice of two patients"],
    ),
}
