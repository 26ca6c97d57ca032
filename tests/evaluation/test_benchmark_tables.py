"""The tables of speed are those of their CSVs."""

from evaluation.benchmark_tables import format_benchmark, format_zoo
from models import MODELS
from utils.config_loader import RESOURCES
from utils.files import read_rows


def rows_of(name: str) -> list[dict[str, str]]:
    return read_rows(RESOURCES / "results" / f"{name}.csv")


def page() -> str:
    return (RESOURCES / "results" / "README.md").read_text(encoding="utf-8")


def test_the_page_holds_the_steps_of_the_csv() -> None:
    assert format_benchmark(rows_of("benchmark_cpu")) in page()


def test_the_page_holds_the_networks_of_the_csv() -> None:
    rows = rows_of("zoo")
    names = [row["name"] for row in rows]
    assert names == [name for name in MODELS if name in names]  # a new one is not measured yet
    assert format_zoo(rows) in page()


def test_a_step_that_was_not_measured_says_so() -> None:
    rows = rows_of("benchmark_cpu")
    rows[1]["note"] = "out of memory"
    lines = format_benchmark(rows).splitlines()
    assert lines[3] == f"| {rows[1]['variant']} | out of memory |  |  |  |"
    num_steps = sum(row["kind"] == "step" for row in rows)
    assert all(line.count("|") == 6 for line in lines[: num_steps + 2])


def test_a_step_without_the_plain_one_has_no_ratio() -> None:
    rows = rows_of("benchmark_cpu")
    rows[2] |= {"time_ratio_to_plain": "", "percent_in_convolutions": ""}
    text = format_benchmark(rows)
    assert "| fp32 channels_last (configured) | 2168 | - | 1984 | 92 |" in text
    assert "Convolutions" not in text


def test_a_network_that_was_not_measured_says_why() -> None:
    measured, other, *_ = rows_of("zoo")
    measured |= {"milliseconds_median": "12.3", "speed_ratio_to_unet": "1", "peak_memory_mib": ""}
    other |= {"milliseconds_median": "", "note": "out of memory"}
    text = format_zoo([measured, other])
    cells = [cell.strip() for cell in text.splitlines()[2].split("|")]
    assert cells[7:10] == ["12", "1.00", "-"]
    assert text.splitlines()[-1] == f"{other['name']}: not measured, out of memory"
    assert "median of 5 rounds" in text
