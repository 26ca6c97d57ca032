"""What it costs to score a case, beside PySODMetrics; see python -m benchmark metrics --help.

PySODMetrics (MIT licence, https://github.com/lartpang/PySODMetrics) is a port of the published
toolboxes to numpy. It is fed the raw map (`normalize=False`) and scores each case by itself.
"""

import os
from collections.abc import Callable, Sequence
from importlib import import_module
from statistics import median
from timeit import timeit
from types import ModuleType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from evaluation.tables import format_grid
from metrics import (
    confusion,
    dice,
    e_measure_adaptive,
    e_measure_curve,
    mae,
    s_measure,
    score_soft,
    weighted_f,
)
from utils.cli import create_parser, positive_int
from utils.errors import UserError

Case = tuple[NDArray[np.float32], NDArray[np.bool_]]
Score = Callable[..., tuple[float, ...]]
_THRESHOLD = 0.5
_MIN_SIZE = 16
_HEADS = ("metric", "ms", "PySODMetrics, ms", "times as fast", "largest difference")


def main(arguments: Sequence[str]) -> None:
    """Command line, without the word `metrics`."""
    parser = create_parser(
        "Time the metrics of a case, beside PySODMetrics in the same process, and compare values.",
        "python -m benchmark metrics --size 352",
    )
    parser.prog = "python -m benchmark metrics"
    for name, default, text in (
        ("--size", 256, "height and width of a case, px"),
        ("--cases", 32, "different cases, scored one after the other in every round"),
        ("--rounds", 15, "timed rounds, after one that compares the values"),
    ):
        text = f"{text} (default: {default})"
        parser.add_argument(name, type=positive_int, default=default, metavar="N", help=text)
    given = parser.parse_args(arguments)
    if given.size < _MIN_SIZE:
        parser.error(f"argument --size: must be at least {_MIN_SIZE}")
    theirs = _their_scores(_import_pysodmetrics())
    cases = synthetic_cases(given.cases, given.size)
    rows = [_compare(name, OURS[name], theirs[name], cases, given.rounds) for name in OURS]
    print(format_grid([_HEADS, *rows]))
    print(
        f"\n{given.cases} cases of {given.size} x {given.size} px in float32, median of "
        f"{given.rounds} rounds in turn, OMP_NUM_THREADS {os.environ.get('OMP_NUM_THREADS', '-')}"
    )


def synthetic_cases(num_cases: int, size: int) -> list[Case]:
    """Blurred ellipses under noise as probabilities, the sharp ellipses as targets.

    Args:
        num_cases: How many; one in eight has no lesion.
        size: Height and width, px.
    """
    rng = np.random.default_rng(0)
    cases = []
    for index in range(num_cases):
        mask = np.zeros((size, size), dtype=np.uint8)
        for _ in range(0 if index % 8 == 7 else 3):
            centre = rng.integers(size // 5, size - size // 5, 2).tolist()
            axes = (size * rng.uniform(0.03, 0.13, 2)).astype(int).tolist()
            cv2.ellipse(mask, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1, cv2.FILLED)
        blurred = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), size / 50)
        noisy = blurred + rng.normal(0, 0.05, mask.shape)
        cases.append((noisy.clip(0, 1).astype(np.float32), mask.astype(bool)))
    return cases


def _compare(
    name: str, ours: Score, theirs: Score, cases: Sequence[Case], num_rounds: int
) -> list[str]:
    """The cells of a metric: values compared once, then times in turn."""
    difference = max(
        abs(our_value - their_value)
        for case in cases
        for our_value, their_value in zip(ours(*case), theirs(*case), strict=True)
    )
    rounds = [(_time(ours, cases), _time(theirs, cases)) for _ in range(num_rounds)]
    our_time, their_time = (median(times) for times in zip(*rounds, strict=True))
    ratio = median(their / our for our, their in rounds)
    return [name, f"{our_time:.3f}", f"{their_time:.3f}", f"{ratio:.1f}", f"{difference:.1e}"]


def _time(score: Score, cases: Sequence[Case]) -> float:
    """Milliseconds per case of one pass."""
    return 1e3 * timeit(lambda: [score(*case) for case in cases], number=1) / len(cases)


def _e_measure(prob: NDArray[np.float32], target: NDArray[np.bool_]) -> tuple[float, ...]:
    return e_measure_adaptive(prob, target), float(e_measure_curve(prob, target).mean())


def _dice(prob: NDArray[np.float32], target: NDArray[np.bool_]) -> tuple[float]:
    return (dice(confusion(prob >= _THRESHOLD, target), empty_target="zero"),)


def _together(prob: NDArray[np.float32], target: NDArray[np.bool_]) -> tuple[float, ...]:
    scores = score_soft(prob, target)
    e_measures = (scores.e_measure_adaptive, scores.e_measure_mean)
    return (*e_measures, scores.s_measure, scores.mae, *_dice(prob, target))


OURS: dict[str, Score] = {
    "E_phi, adaptive and mean": _e_measure,
    "S_alpha": lambda prob, target: (s_measure(prob, target),),
    "MAE": lambda prob, target: (mae(prob, target),),
    "Dice": _dice,
    "the four together": _together,
    "weighted F": lambda prob, target: (weighted_f(prob, target),),
}


def _their_scores(library: ModuleType) -> dict[str, Score]:
    """PySODMetrics under the same names; a new object per case, as its objects only average."""

    def run(metric: Any, case: Case) -> dict[str, Any]:
        metric.step(*case, normalize=False)
        return metric.get_results()

    def e_measure(*case: NDArray) -> tuple[float, ...]:
        result = run(library.Emeasure(), case)["em"]
        return float(result["adp"]), float(result["curve"].mean())

    def their_dice(*case: NDArray) -> tuple[float]:
        handler = library.DICEHandler(with_dynamic=False, with_adaptive=False, with_binary=True)
        return (float(run(library.FmeasureV2({"dice": handler}), case)["dice"]["binary"]),)

    singles = {
        "E_phi, adaptive and mean": e_measure,
        "S_alpha": lambda *case: (float(run(library.Smeasure(), case)["sm"]),),
        "MAE": lambda *case: (float(run(library.MAE(), case)["mae"]),),
        "Dice": their_dice,
    }
    return singles | {
        "the four together": lambda *case: tuple(
            value for score in singles.values() for value in score(*case)
        ),
        "weighted F": lambda *case: (float(run(library.WeightedFmeasure(), case)["wfm"]),),
    }


def _import_pysodmetrics() -> ModuleType:
    """The library, which is no requirement of this project.

    Raises:
        UserError: It is not installed.
    """
    try:
        return import_module("py_sod_metrics")
    except ImportError as error:
        raise UserError(
            "PySODMetrics is not installed; pip install --no-deps pysodmetrics and "
            f"pip install scikit-learn ({error})"
        ) from error
