"""From a CSV to Markdown, LaTeX and HTML, and a CSV that cannot be right."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import pytest

from evaluation.readme import list_tables
from evaluation.results import RESULTS
from sweeps.pages import HTML, LATEX, PAGE, build_tables, rebuild_pages
from sweeps.specification import SWEEPS, Row, list_sweeps, read_sweep
from sweeps.summary import Score, read_results, summarize
from sweeps.tables import build_table, to_html, to_latex, to_markdown
from tests.conftest import Finished
from tests.sweeps.conftest import SWEEP, write_sweep
from utils.errors import UserError
from utils.files import write_rows

ROW = {
    "sweep": "two", "sweep_size": "small", "row": "plain", "data": "lungs", "seed": "2",
    "split": "test", "dice": "0.5", "mae": "0.02", "group_low": "0.4", "group_high": "0.7",
    "group_unit": "patient", "paired_difference": "", "paired_p": "", "paired_p_slices": "",
    "num_parameters": "12345", "train_seconds": "90", "n": "9", "n_patients": "3",
    "protocol": "native", "size": "64 x 64", "epochs": "3", "precision_of_arithmetic": "fp32",
    "hardware": "a processor", "data_fingerprint": "abc", "threshold": "0.5",
    "empty_target": "one",
}  # fmt: skip
FUSED = {
    "row": "fused", "paired_difference": "0.1", "paired_p": "0.25", "paired_p_slices": "0.0004",
}  # fmt: skip


def csv_rows() -> list[dict[str, str]]:
    """Plain .5 and .6, fused .6 and .8; MAE the other way round."""
    return [
        ROW,
        ROW | {"seed": "3", "dice": "0.6", "epochs": "12"},
        ROW | FUSED | {"dice": "0.6", "mae": "0.03"},
        ROW | FUSED | {"seed": "3", "dice": "0.8", "mae": "0.04"},
    ]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A folder of sweeps and results: two_small.csv, a page with its mark."""
    (tmp_path / "sweeps").mkdir()
    write_sweep(tmp_path / "sweeps" / "two.yaml", SWEEP.replace("title: Fused", 'title: "Fused*"'))
    write_rows(tmp_path / "two_small.csv", csv_rows())
    (tmp_path / PAGE).write_text("head\n<!-- sweep:two_small -->\nold\n<!-- end -->\ntail\n")
    return tmp_path


def test_rows_hold_mean_deviation_rank_and_test_of_their_seeds(results: Path) -> None:
    sweep = read_sweep(results / "sweeps" / "two.yaml")
    plain, fused = summarize(sweep, read_results(results / "two_small.csv", sweep))
    assert plain.seeds == fused.seeds == (2, 3)
    # (.5 + .6) / 2, and the root of ((.05)^2 + (.05)^2) / 1
    assert plain.scores["dice"] == pytest.approx(Score(0.55, 0.0707107))
    assert fused.scores["dice"] == pytest.approx(Score(0.7, 0.1414214))
    assert (plain.ranks, fused.ranks) == ({"dice": 2, "mae": 1}, {"dice": 1, "mae": 2})
    assert (plain.difference, fused.difference) == (None, 0.1)
    assert (fused.p, fused.p_slices, fused.interval) == (0.25, 0.0004, (0.4, 0.7))
    assert (fused.num_parameters, fused.minutes) == (12345, 1.5)


def test_equal_means_share_their_rank(results: Path) -> None:
    sweep = read_sweep(results / "sweeps" / "two.yaml")
    plain, fused = summarize(sweep, [ROW, ROW | FUSED])
    assert plain.ranks == fused.ranks == {"dice": 1, "mae": 1}


def test_the_printed_value_stands_below_ours_in_every_form(results: Path) -> None:
    (table,) = build_tables(results, results / "sweeps")
    markdown, html, latex = to_markdown(table), to_html(table), to_latex(table)
    assert "| Fused\\* | 2, 3 | **70.00 ± 14.14**<br><sub>89.93 ± 0.09</sub> |" in markdown
    assert "40.0–70.0 | +10.00 | 0.250 | <0.001 | 12,345 | 1.5 |" in markdown
    assert "<td><b>70.00 ± 14.14</b><small>89.93 ± 0.09</small></td>" in html
    assert r"Fused$^*$ & 2, 3 & \textbf{70.00 $\pm$ 14.14}" in latex
    assert r"\quad\scriptsize printed &  & \scriptsize 89.93 $\pm$ 0.09" in latex
    assert r"\underline{55.00 $\pm$ 7.07}" in latex
    assert "(a paper, table 9)" in latex
    assert "3–12 epochs" in markdown


def test_html_and_latex_are_well_formed(results: Path) -> None:
    (table,) = build_tables(results, results / "sweeps")
    html = (
        to_html(table).replace("scope=col", "").replace("scope=row", "").replace("id=two_small", "")
    )
    ElementTree.fromstring(f"<div>{html}</div>")
    latex = to_latex(table)
    rows = [line for line in latex.splitlines() if line.endswith(r" \\")]
    assert {line.count(" & ") for line in rows} == {len(table.heads) - 1}
    assert re.findall(r"\\begin{(\w+)}", latex) == ["table", "tabular"]
    assert not re.search(r"(?<!\\)[%#_]", latex.replace("tab:two_small", ""))


def test_a_table_is_blank_where_nothing_was_run(results: Path) -> None:
    (results / "two_small.csv").unlink()
    (table,) = build_tables(results, results / "sweeps")
    assert "| Plain |  | -<br><sub>85.96 ± 0.03</sub> |  |" in to_markdown(table)
    sweep = read_sweep(results / "sweeps" / "two.yaml")
    partly = to_markdown(build_table("two", sweep, [ROW]))
    assert "| Plain | 2 | 50.00<br>" in partly
    assert "| Fused\\* |  | -<br><sub>89.93 ± 0.09</sub> |  |" in partly


def test_every_data_set_has_its_own_rows_and_ranks(results: Path) -> None:
    sweep = read_sweep(results / "sweeps" / "two.yaml")
    other = [row | {"data": "other", "dice": f"{1 - float(row['dice']):.1f}"} for row in csv_rows()]
    entries = summarize(sweep, [*csv_rows(), *other])
    assert [(entry.data, entry.row) for entry in entries] == [
        ("lungs", "plain"), ("lungs", "fused"), ("other", "plain"), ("other", "fused"),
    ]  # fmt: skip
    assert [entry.ranks["dice"] for entry in entries] == [2, 1, 1, 2]


def test_the_notes_say_whether_the_order_is_the_printed_one(results: Path) -> None:
    sweep = read_sweep(results / "sweeps" / "two.yaml")
    (line,) = (n for n in build_table("two", sweep, csv_rows()).notes if "printed order" in n)
    assert line == (
        "lungs: 1 of 1 pairs of rows stand in the printed order of Dice. Told from Plain by slice "
        "(p < 0.05), as printed: Fused*; the other way round: none."
    )
    turned = [r | {"dice": "0.4", "paired_difference": "-0.1"} for r in csv_rows()[2:]]
    (line,) = (
        note
        for note in build_table("two", sweep, [*csv_rows()[:2], *turned]).notes
        if "printed order" in note
    )
    assert line.startswith("lungs: 0 of 1 pairs")
    assert line.endswith("as printed: none; the other way round: Fused*.")


def test_the_notes_say_how_much_of_the_way_to_the_ceiling_a_row_goes(results: Path) -> None:
    sweep = read_sweep(results / "sweeps" / "two.yaml")
    half = Row(title="Half way")
    sweep = sweep.model_copy(
        update={
            "ceiling": "fused",
            "metrics": ["dice", "dice_pooled"],
            "rows": sweep.rows | {"half": half},
        }
    )
    # Dice .5, .525 and .6; pooled .6, .55 and .7.
    rows = [
        ROW | {"dice_pooled": "0.6"},
        ROW | {"row": "half", "dice": "0.525", "dice_pooled": "0.55"},
        ROW | FUSED | {"data": "all lungs", "dice": "0.6", "dice_pooled": "0.7"},
    ]
    table = build_table("two", sweep, rows)
    assert [note for note in table.notes if "of that way" in note] == [
        "lungs, Dice: Fused* is 10.00 points above Plain; of that way went Half way +25%.",
        "lungs, Dice, pooled: Fused* is 10.00 points above Plain; of that way went Half way -50%.",
    ]
    assert "Dice, pooled ↑" in table.heads


def test_without_a_ceiling_or_above_it_nothing_is_said_of_a_way(results: Path) -> None:
    sweep = read_sweep(results / "sweeps" / "two.yaml")
    assert not any("of that way" in note for note in build_table("two", sweep, csv_rows()).notes)
    level = sweep.model_copy(
        update={"ceiling": "fused", "rows": sweep.rows | {"half": Row(title="Half way")}}
    )
    rows = [ROW, ROW | FUSED, ROW | {"row": "half", "dice": "0.6"}]  # a way of no length
    assert not any("of that way" in note for note in build_table("two", level, rows).notes)
    turned = sweep.model_copy(update={"baseline": "fused", "ceiling": "plain"})
    assert not any("of that way" in note for note in build_table("two", turned, csv_rows()).notes)


def test_a_second_annotator_is_a_row_without_rank(results: Path) -> None:
    reference = ROW | dict.fromkeys(("seed", "num_parameters", "train_seconds", "group_low"), "")
    reference |= {"row": "second_annotator", "dice": "0.99", "n": "7"}
    file = results / "two_small.csv"
    write_rows(file, [*csv_rows(), reference])
    (table,) = build_tables(results, results / "sweeps")
    assert "| Second annotator |  | 99.00 | 2.00 |  |" in to_markdown(table)
    assert "| Fused\\* | 2, 3 | **70.00" in to_markdown(table)


@pytest.mark.parametrize(
    ("line", "changes", "message"),
    [
        (3, {"dice": "1.7"}, "dice is '1.7', which cannot be"),
        (3, {"dice": "high"}, "dice is 'high', which cannot be"),
        (3, {"dice": "nan"}, "dice is 'nan', which cannot be"),
        (2, {"row": "fussed"}, "the sweep has no row 'fussed', did you mean fused"),
        (3, {"seed": "2"}, "plain lungs 2 stands on line 2 already"),
        (4, {"data_fingerprint": "xyz"}, "data_fingerprint of lungs is 'xyz', and 'abc' above"),
        (4, {"threshold": "0.3"}, "threshold of lungs is '0.3'"),
    ],
)
def test_a_csv_edited_into_nonsense_is_refused_with_its_line(
    line: int, changes: dict[str, str], message: str, results: Path
) -> None:
    rows = csv_rows()
    rows[line - 2] = rows[line - 2] | changes
    file = results / "two_small.csv"
    write_rows(file, rows)
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        read_results(file, read_sweep(results / "sweeps" / "two.yaml"))
    assert str(caught.value).startswith(f"{file}:{line}: ")


def test_the_page_is_rewritten_between_its_marks_alone(results: Path) -> None:
    page, latex, html = rebuild_pages(results, results / "sweeps")
    text = page.read_text()
    assert text.startswith("head\n<!-- sweep:two_small -->\n\n| row | seeds |")
    assert text.endswith("<!-- end -->\ntail\n")
    assert "\nold\n" not in text
    assert r"\label{tab:two_small}" in latex.read_text()
    assert "<table id=two_small>" in html.read_text()


def test_readme_latex_and_html_are_those_of_the_csv_files(tmp_path: Path) -> None:
    copytree(RESULTS, tmp_path / "results")
    rebuild_pages(tmp_path / "results")
    for name in (PAGE, LATEX, HTML):
        committed, rebuilt = (
            (folder / name).read_text() for folder in (RESULTS, tmp_path / "results")
        )
        assert committed == rebuilt, f"{name}: run 'python sweep.py --tables'"


def test_every_sweep_has_its_place_on_the_page() -> None:
    shown = list_tables(RESULTS / PAGE, "sweep")
    assert {name.rpartition("_")[0] for name in shown} == set(list_sweeps(SWEEPS))


def test_the_command_refuses_what_it_cannot_do(
    run_script: Callable[..., Finished], refused: Callable[..., None], tmp_path: Path
) -> None:
    refused(run_script("sweep.py"), "name a sweep")
    refused(run_script("sweep.py", SWEEPS / "tabel5.yaml"), "did you mean table5?")
    refused(run_script("sweep.py", SWEEPS / "table5.yaml", "--gpus", "a"), "GPU numbers as 0,1")
    nowhere = ["--data", f"coronacases10={tmp_path / 'none'}"]
    refused(run_script("sweep.py", SWEEPS / "table5.yaml", *nowhere), "no such data folder")
    wrong = run_script("sweep.py", SWEEPS / "table5.yaml", "--data", f"lungs={tmp_path}")
    refused(wrong, "--data lungs: no sweep here takes this data set; they take coronacases10")
