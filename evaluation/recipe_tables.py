"""The ingredients of a recipe side by side: mean over the seeds, paired with the run without."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any

from metrics.registry import METRICS, MISSING

BASELINE = "baseline"
_KEY = "dice_pooled"
_Scores = dict[str, float]  # by seed; an ensemble of seeds has one, under ""


def format_recipe(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as Markdown, in the order of the file.

    Args:
        rows: Of evaluation.results.read_row with variant, ensemble (its number of networks, or
            blank) and flip, or as a CSV has them, as text. Those without a seed are paired with
            none.
    """
    groups: dict[tuple[str, str, str], dict[str, _Scores]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        key = str(row["variant"]), str(row["ensemble"] or "1"), str(row["flip"])
        groups[key][row["data_set"]][str(row["seed"])] = float(row[_KEY])
    data_sets = list(dict.fromkeys(row["data_set"] for row in rows))
    heads = [head for name in data_sets for head in (name, "difference")]
    lines = [f"| recipe | networks | mirrored | {' | '.join(heads)} |"]
    lines.append("|---|---:|---|" + "---:|" * len(heads))
    for (variant, networks, flip), scores in groups.items():
        base = groups.get((BASELINE, networks, flip), {})
        cells = []
        for name in data_sets:
            cells += [_score(scores[name]), _difference(scores[name], base.get(name, {}))]
        is_flipped = "yes" if flip == "True" else "no"
        lines.append(f"| `{variant}` | {networks} | {is_flipped} | {' | '.join(cells)} |")
    seeds = sorted({str(row["seed"]) for row in rows if not row["ensemble"]} - {""})
    note = (
        f"Dice pooled over pixels in %, mean ± standard deviation over seeds {', '.join(seeds)}; "
        f"differences are taken seed by seed from `{BASELINE}` with as many networks, mirrored "
        "alike; in brackets how many seeds gain."
    )
    return "\n".join([*lines, "", note])


def _score(scores: _Scores) -> str:
    """Mean and deviation over the seeds."""
    if not scores:
        return MISSING
    metric, values = METRICS["dice"], list(scores.values())
    text = metric.format(mean(values), 1)
    return f"{text} ± {metric.format(stdev(values), 1)}" if len(values) > 1 else text


def _difference(scores: _Scores, base: _Scores) -> str:
    """Mean and deviation of what is gained over the same seeds of the baseline."""
    gains = [scores[seed] - base[seed] for seed in scores if seed in base]
    if not gains or scores == base:
        return MISSING
    text = f"{100 * mean(gains):+.1f}"
    if len(gains) == 1:
        return text
    num_better = sum(gain > 0 for gain in gains)
    return f"{text} ± {100 * stdev(gains):.1f} ({num_better} of {len(gains)})"
