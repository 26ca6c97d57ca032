"""The tables of the papers with our own results: Markdown, LaTeX and HTML from the same cells."""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import NamedTuple

from metrics.registry import MISSING, column
from sweeps.remarks import list_remarks
from sweeps.results import METRIC
from sweeps.specification import Printed, Row, Sweep
from sweeps.summary import CsvRow, Entry, Score, summarize

_SMALLEST_P = 0.001
_REFERENCE = Row(title="Second annotator")


class Cell(NamedTuple):
    """Our value; below it, in small, the printed one; rank 1 is the best, 2 the second."""

    text: str
    rank: int = 0
    printed: str = ""


class SweepTable(NamedTuple):
    """A table with its notes; the first columns are words, num_words of them."""

    name: str
    caption: str
    heads: Sequence[str]
    num_words: int
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str]


def build_table(name: str, sweep: Sweep, rows: Sequence[CsvRow]) -> SweepTable:
    """The cells of a sweep's table.

    Args:
        name: Of the table, in marks and labels.
        sweep: Its rows.
        rows: Of sweeps.summary.read_results.
    """
    entries = summarize(sweep, rows)
    has_data = len({entry.data for entry in entries}) > 1
    dice = column(METRIC).head
    heads = [
        *["row", *["data"] * has_data, "seeds"],
        *(column(key).title for key in sweep.metrics),
        *[f"{dice}, 95 %", f"{dice} − {sweep.rows[sweep.baseline].title}", "p", "p, slices"],
        *["parameters", "min"],
    ]
    cells = [_cells(entry, sweep, has_data) for entry in entries]
    caption = f"{sweep.title} ({sweep.source}, {sweep.table})"
    notes = list_remarks(sweep, rows, entries)
    return SweepTable(name, caption, heads, 2 + has_data, cells, notes)


def _cells(entry: Entry, sweep: Sweep, has_data: bool) -> list[Cell]:
    """A row of the table."""
    row = sweep.rows.get(entry.row, _REFERENCE)
    metric = column(METRIC)
    scores = [
        Cell(
            _score(key, entry.scores.get(key)),
            entry.ranks.get(key, 0),
            _printed(key, row.printed.get(key)),
        )
        for key in sweep.metrics
    ]
    interval = "–".join(metric.format(end, 1) for end in entry.interval or ())
    difference = "" if entry.difference is None else metric.format(entry.difference, sign="+")
    parameters = "" if entry.num_parameters is None else f"{entry.num_parameters:,}"
    minutes = "" if entry.minutes is None else f"{entry.minutes:.1f}"
    rest = (interval, difference, _p(entry.p), _p(entry.p_slices), parameters, minutes)
    words = [row.title, *[entry.data] * has_data, ", ".join(map(str, entry.seeds))]
    return [*map(Cell, words), *scores, *map(Cell, rest)]


def _score(key: str, score: Score | None) -> str:
    if score is None:
        return ""
    values = [value for value in score if value is not None]
    return " ± ".join(column(key).format(value) for value in values)


def _printed(key: str, printed: Printed | None) -> str:
    """Per cent as the source has them."""
    return " ± ".join(
        f"{value:.2f}" if round(value, 2) == value else f"{value:g}" for value in printed or ()
    )


def _p(value: float | None) -> str:
    return "" if value is None else "<0.001" if value < _SMALLEST_P else f"{value:.3f}"


def to_markdown(table: SweepTable) -> str:
    """The table for a page; its notes below."""
    marks = {0: "{}", 1: "**{}**", 2: "<u>{}</u>"}
    lines = [f"| {' | '.join(table.heads)} |"]
    rules = ["---"] * table.num_words + ["---:"] * (len(table.heads) - table.num_words)
    lines.append(f"|{'|'.join(rules)}|")
    for row in table.rows:
        safe = [cell._replace(text=cell.text.replace("*", r"\*")) for cell in row]
        texts = [_join(c, marks, "<br>", lambda printed: f"<sub>{printed}</sub>") for c in safe]
        lines.append(f"| {' | '.join(texts)} |")
    return "\n".join([*lines, "", *table.notes])


def to_html(table: SweepTable) -> str:
    """The table as an element of a page."""
    marks = {0: "{}", 1: "<b>{}</b>", 2: "<u>{}</u>"}
    heads = "".join(f"<th scope=col>{escape(head)}</th>" for head in table.heads)
    lines = [f"<table id={table.name}><caption>{escape(table.caption)}</caption>"]
    lines.append(f"<thead><tr>{heads}</tr></thead><tbody>")
    for row in table.rows:
        safe = [Cell(escape(c.text), c.rank, escape(c.printed)) for c in row]
        texts = [_join(cell, marks, "", lambda p: f"<small>{p}</small>") for cell in safe]
        first, *others = texts
        cells = "".join(f"<td>{text}</td>" for text in others)
        lines.append(f"<tr><th scope=row>{first}</th>{cells}</tr>")
    lines.append("</tbody></table>")
    lines += [f"<p>{escape(note)}</p>" for note in table.notes]
    return "\n".join(lines)


def to_latex(table: SweepTable) -> str:
    """The table for booktabs; printed values in a line of their own, of a smaller size."""
    marks = {0: "{}", 1: r"\textbf{{{}}}", 2: r"\underline{{{}}}"}
    columns = "l" * table.num_words + "r" * (len(table.heads) - table.num_words)
    lines = [
        *[r"\begin{table}", r"\centering\small", rf"\caption{{{_latex(table.caption)}}}"],
        *[rf"\label{{tab:{table.name}}}", rf"\begin{{tabular}}{{{columns}}}", r"\toprule"],
        " & ".join(map(_latex, table.heads)) + r" \\",
        r"\midrule",
    ]
    for row in table.rows:
        lines.append(" & ".join(marks[c.rank].format(_latex(c.text)) for c in row) + r" \\")
        if any(cell.printed for cell in row):
            small = [rf"\scriptsize {_latex(c.printed)}" if c.printed else "" for c in row]
            lines.append(" & ".join([r"\quad\scriptsize printed", *small[1:]]) + r" \\")
    notes = [rf"\par\footnotesize {_latex(note)}" for note in table.notes]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", *notes, r"\end{table}"])


def _join(cell: Cell, marks: Mapping[int, str], between: str, small: Callable[[str], str]) -> str:
    """Our value, marked, and the printed one below it."""
    own = marks[cell.rank].format(cell.text) if cell.text else ""
    if not cell.printed:
        return own
    return f"{own or MISSING}{between}{small(cell.printed)}"


_LATEX = {
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "±": r"$\pm$",
    "−": "$-$",
    "–": "--",
    "<": "$<$",
    "*": r"$^*$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "→": r"$\to$",
    "×": r"$\times$",
}


def _latex(text: str) -> str:
    """Text with the letters that LaTeX takes for commands, or lacks, written out."""
    return "".join(_LATEX.get(letter, letter) for letter in text)
