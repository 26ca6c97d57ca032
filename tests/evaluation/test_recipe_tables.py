"""The table of a recipe: means over seeds, and differences seed by seed."""

import csv
from pathlib import Path

from evaluation.recipe_tables import format_recipe
from utils.files import write_rows

_HERE, _UNSEEN = "coronacases10", "semiseg50"


def row(variant: str, seed: object, data: str, dice: float, networks: object = "", flip=False):
    return {
        "variant": variant, "ensemble": networks, "flip": flip, "seed": seed, "data_set": data,
        "dice_pooled": dice,
    }  # fmt: skip


ROWS = [
    row("baseline", 0, _HERE, 0.70),
    row("baseline", 1, _HERE, 0.80),
    row("baseline", 0, _UNSEEN, 0.50),
    row("baseline", "", _HERE, 0.78, networks=2),
    row("crop", 1, _HERE, 0.84),
    row("crop", 0, _HERE, 0.72),
    row("crop", "", _HERE, 0.77, networks=2),
    row("crop", 0, _UNSEEN, 0.45, flip=True),
    row("given", "", _HERE, 0.81),
]


def lines_of(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("| `")]


def test_seeds_are_paired_and_ensembles_have_a_row_of_their_own() -> None:
    # crop: 0.72 - 0.70 = 2 and 0.84 - 0.80 = 4: mean 3, deviation sqrt(2) = 1.4
    assert lines_of(format_recipe(ROWS)) == [
        "| `baseline` | 1 | no | 75.0 ± 7.1 | - | 50.0 | - |",
        "| `baseline` | 2 | no | 78.0 | - | - | - |",
        "| `crop` | 1 | no | 78.0 ± 8.5 | +3.0 ± 1.4 (2 of 2) | - | - |",
        "| `crop` | 2 | no | 77.0 | -1.0 | - | - |",
        "| `crop` | 1 | yes | - | - | 45.0 | - |",
        "| `given` | 1 | no | 81.0 | - | - | - |",
    ]
    assert "over seeds 0, 1;" in format_recipe(ROWS)


def test_a_csv_gives_the_same_table(tmp_path: Path) -> None:
    write_rows(tmp_path / "robust.csv", ROWS)
    with (tmp_path / "robust.csv").open(newline="") as stream:
        assert format_recipe(list(csv.DictReader(stream))) == format_recipe(ROWS)
