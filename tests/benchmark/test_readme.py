"""The README's table is the CSV's."""

import csv
from pathlib import Path

from benchmark.readme import format_steps
from utils.config_loader import RESOURCES

CSV = RESOURCES / "results" / "benchmark_cpu.csv"


def steps() -> list[dict[str, str]]:
    with CSV.open(newline="", encoding="utf-8") as stream:
        return [row for row in csv.DictReader(stream) if row["kind"] == "step"]


def test_the_readme_holds_the_table_of_the_csv() -> None:
    page = (Path(RESOURCES).parent / "README.md").read_text(encoding="utf-8")
    assert format_steps(steps()) in page


def test_a_step_that_was_not_measured_says_so() -> None:
    rows = steps()
    rows[1]["note"] = "not measured: out of memory"
    lines = format_steps(rows).splitlines()
    assert lines[3] == f"| {rows[1]['variant']} | not measured: out of memory | | | |"
    assert all(line.count("|") == 6 for line in lines[: len(rows) + 2])
