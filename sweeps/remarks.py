"""What is said below the table of a sweep: how it was made, its order beside the printed one."""

from collections.abc import Sequence

from metrics.registry import column
from sweeps.results import METRIC, REFERENCE
from sweeps.specification import Row, Sweep
from sweeps.summary import CsvRow, Entry

_TOLD_APART = 0.05
_POOLED = "dice_pooled"


def list_remarks(sweep: Sweep, rows: Sequence[CsvRow], entries: Sequence[Entry]) -> list[str]:
    """The notes of a table, a paragraph each.

    Args:
        sweep: Its rows.
        rows: Of sweeps.summary.read_results.
        entries: The rows of the table, of sweeps.summary.summarize.
    """
    return [*_notes(sweep, rows), *_gap(sweep, entries), *_agreement(sweep, entries)]


def _notes(sweep: Sweep, rows: Sequence[CsvRow]) -> list[str]:
    """What the figures mean, and on what they were made."""
    rows = [row for row in rows if row["row"] != REFERENCE]
    if not rows:
        return [*[sweep.note] * bool(sweep.note), "Not run yet: the values are the printed ones."]
    notes = [
        "In %: mean ± standard deviation over the seeds, below it the printed value; best in bold, "
        "second underlined. Interval of the mean Dice and p by "
        f"{rows[0]['group_unit']} (permutation test), p of slices by Wilcoxon's test, as if the "
        "slices of a patient were independent; each case's Dice is averaged over the seeds first. "
        "min: of training."
    ]
    for data in dict.fromkeys(row["data"] for row in rows):
        own = [row for row in rows if row["data"] == data]
        first = own[0]
        notes.append(
            f"{data}, {first['split']}: n = {first['n']} slices of {first['n_patients']} patients, "
            f"protocol {first['protocol']}, scored at {first['size']} px, {_span(own, 'epochs')} "
            f"epochs, {_span(own, 'precision_of_arithmetic')}, {_span(own, 'hardware')}; data "
            f"{first['data_fingerprint']}."
        )
    return [*notes, *[sweep.note] * bool(sweep.note)]


def _agreement(sweep: Sweep, entries: Sequence[Entry]) -> list[str]:
    """Whether the rows stand in the printed order of Dice, and which leave the baseline otherwise.

    A row is told from the baseline by slice at p < 0.05: no more than a hint, see the notes.
    """
    lines = []
    for data in dict.fromkeys(entry.data for entry in entries):
        both = [
            (entry, sweep.rows[entry.row].printed[METRIC][0], entry.scores[METRIC].mean)
            for entry in entries
            if entry.data == data
            and METRIC in entry.scores
            and METRIC in sweep.rows.get(entry.row, Row(title=REFERENCE)).printed
        ]
        pairs = [(a, b) for i, a in enumerate(both) for b in both[i + 1 :]]
        if not pairs:
            continue
        alike = sum((a[1] - b[1]) * (a[2] - b[2]) > 0 for a, b in pairs)
        base = sweep.rows[sweep.baseline].printed.get(METRIC, [0.0])[0]
        told = {True: [], False: []}
        for entry, printed, _ in both:
            if entry.difference is not None and (entry.p_slices or 1) < _TOLD_APART:
                agrees = (printed - base) * entry.difference > 0
                told[agrees].append(sweep.rows[entry.row].title)
        lines.append(
            f"{data}: {alike} of {len(pairs)} pairs of rows stand in the printed order of Dice. "
            f"Told from {sweep.rows[sweep.baseline].title} by slice (p < {_TOLD_APART}), as "
            f"printed: {'; '.join(told[True]) or 'none'}; the other way round: "
            f"{'; '.join(told[False]) or 'none'}."
        )
    return lines


def _span(rows: Sequence[CsvRow], key: str) -> str:
    """The values of a column: one, or all of them; of numbers the ends."""
    values = {row[key] for row in rows}
    if len(values) > 1 and all(value.isdecimal() for value in values):
        return f"{min(values, key=int)}–{max(values, key=int)}"
    return " and ".join(sorted(values))


def _gap(sweep: Sweep, entries: Sequence[Entry]) -> list[str]:
    """How much of the way from the baseline to the ceiling each row goes, a line for each Dice."""
    if sweep.ceiling is None:
        return []
    keys = [key for key in (METRIC, _POOLED) if key in sweep.metrics]
    return [line for key in keys for line in _gap_of(sweep, entries, key)]


def _gap_of(sweep: Sweep, entries: Sequence[Entry], key: str) -> list[str]:
    means = {(e.row, e.data): e.scores[key].mean for e in entries if key in e.scores}
    ends = (sweep.baseline, sweep.ceiling)
    low, high = (sweep.rows[end].title for end in ends)
    # A single ceiling is that of every data set, which then are parts of the one it learnt from.
    tops = {data: mean for (row, data), mean in means.items() if row == sweep.ceiling}
    only = next(iter(tops.values())) if len(tops) == 1 else None
    lines = []
    for data in dict.fromkeys(data for row, data in means if row == sweep.baseline):
        base, top = means[sweep.baseline, data], tops.get(data, only)
        others = {r: m for (r, d), m in means.items() if d == data and r not in ends}
        if top is None or top <= base or not others:
            continue
        gap = top - base
        shares = [f"{sweep.rows[r].title} {(m - base) / gap:+.0%}" for r, m in others.items()]
        lines.append(
            f"{data}, {column(key).head}: {high} is {column(key).format(gap)} points above {low}; "
            f"of that way went {', '.join(shares)}."
        )
    return lines
