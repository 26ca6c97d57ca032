import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from datasets.card import write_card
from preparation.overview import describe_folder, take_fingerprint
from preparation.overview.charts import draw_charts
from tests.preparation.overview.conftest import CARD, draw_folder
from utils.errors import UserError

FILES = ("fingerprint.html", "fingerprint.json", "montage.png")


class Reader(HTMLParser):
    """Collects a page's headings, text, ids and addresses."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text, self.ids, self.addresses, self.titles = "", [], [], []
        self._tag = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag = tag
        for key, value in attrs:
            if key == "id":
                self.ids.append(value)
            if key in ("href", "src"):
                self.addresses.append(value)

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._tag == "h3" and data.strip():
            self.titles.append(data)


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = draw_folder(tmp_path_factory.mktemp("described") / "drawn")
    describe_folder(root)
    return root


@pytest.fixture(scope="module")
def page(described: Path) -> Reader:
    return Reader((described / "fingerprint.html").read_text(encoding="utf-8"))


def test_three_files_appear_and_are_the_same_every_time(described: Path, tmp_path: Path) -> None:
    describe_folder(described, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(FILES)
    assert [(described / name).read_bytes() for name in FILES] == [
        (tmp_path / name).read_bytes() for name in FILES
    ]
    plain = json.loads((described / "fingerprint.json").read_text(encoding="utf-8"))
    assert plain["parts"]["all"]["num_slices"] == 4


def test_the_page_refers_to_nothing_outside_of_itself(described: Path, page: Reader) -> None:
    text = (described / "fingerprint.html").read_text(encoding="utf-8")
    assert all(address.startswith(("#", "data:")) for address in page.addresses)
    assert len(page.ids) == len(set(page.ids))
    assert "default-src 'none'" in text
    assert not re.search(r"url\((?!#)|@import|<script", text)


def test_the_page_shows_terms_counts_and_names_as_they_are_written(page: Reader) -> None:
    for text in ("Drawn <slices>", "CC0 & more", 'Nobody, "Nothing", 2021', "worth $5_"):
        assert text in page.text
    assert "4 slices of 3 patients in 2 splits, 3 with lesion." in page.text
    assert "-1000 to 20, in HU" in page.text
    assert {"Class balance", "Where lesions lie", "Lesion area per slice"} <= set(page.titles)


def test_only_charts_that_have_something_to_show_are_drawn(folder: Path) -> None:
    for path in folder.glob("*/mask/*"):
        cv2.imwrite(str(path), np.zeros((40, 64), np.uint8))
    for path in folder.glob("*/label"):
        shutil.rmtree(path)
    titles = [chart.title for chart in draw_charts(take_fingerprint(folder))]
    assert titles == ["Slices", "Sizes", "Grey levels", "Patients"]


def test_names_in_any_script_and_constant_images_are_described(folder: Path) -> None:
    write_card(folder, CARD._replace(labels={1: "磨玻璃影", 2: "консолидация"}))
    for path in folder.glob("*/image/*"):
        cv2.imwrite(str(path), np.zeros((40, 64), np.uint8))
    describe_folder(folder)
    assert "磨玻璃影" in (folder / "fingerprint.html").read_text(encoding="utf-8")
    assert "磨玻璃影" in (folder / "fingerprint.json").read_text(encoding="utf-8")


def test_a_folder_that_cannot_be_written_to_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere.fingerprint.json: cannot be written"):
        describe_folder(folder, tmp_path / "nowhere")
