"""A data folder whose figures can be worked out by hand."""

from pathlib import Path

import numpy as np
import pytest

from datasets.card import DataCard, SourceFacts
from datasets.data_folder import DataFolderWriter, DataSlice
from datasets.intensity import IntensityRule

SHAPE = (40, 64)
SPACING = (0.5, 0.8, 5.0)
CARD = DataCard(
    (SourceFacts("drawn", "Drawn <slices>", "CC0 & more", 'Nobody, "Nothing", 2021'),),
    IntensityRule("HU", -1000.0, 20.0),
    8,
    {1: "ground-glass opacity", 2: "worth $5_", 3: "pleural effusion"},
)


def labels() -> dict[str, np.ndarray]:
    """Three slices with lesion, one without; all have the lung from column 8 to 55."""
    found = {name: np.zeros(SHAPE, np.uint8) for name in ("a_z000", "a_z001", "b_z000", "c_z000")}
    found["a_z001"][10:14, 10:20] = 1  # 40 px
    found["a_z001"][14:16, 20:25] = 2  # 10 px, which touch the others by a corner
    found["b_z000"][20:25, 30:34] = 1  # 20 px
    found["b_z000"][30:32, 0:4] = 1  # 8 px outside of the lung
    found["c_z000"][0:10, 40:50] = 2  # 100 px
    return found


def lung() -> np.ndarray:
    """40 x 48 px."""
    region = np.zeros(SHAPE, np.uint8)
    region[:, 8:56] = 1
    return region


def images() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(4)
    return {name: generator.integers(0, 256, SHAPE, np.uint8) for name in labels()}


def draw_folder(root: Path) -> Path:
    """Patients a and b to train on, c to validate; c has no spacing and no lung."""
    root.mkdir()
    writer, drawn = DataFolderWriter(root), images()
    for name, label in labels().items():
        is_known = not name.startswith("c")
        writer.add(
            DataSlice(
                name,
                patient=name[0],
                case=f"{name[0]}{name[-1]}",
                source="drawn",
                index=int(name[-3:]),
                image=drawn[name],
                label=label,
                lung=lung() if is_known else None,
                spacing=SPACING if is_known else None,
            )
        )
    writer.finish({name: "val" if name == "c_z000" else "train" for name in labels()}, CARD)
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return draw_folder(tmp_path / "drawn")
