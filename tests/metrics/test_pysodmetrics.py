"""Every pixel metric against PySODMetrics 1.6, an independent implementation, at 1e-6.

Convention: `normalize=False`, the raw map; the last test stretches it. Theirs scores every 0 / 0 as
0, the policy "zero" here, and marks `prob > 0.5` where this project marks `prob >= 0.5`, so no map
has a 0.5. Constant maps are at multiples of 1/4: theirs may take the rounding of the mean of many
0.1 for a variance, and score a quadrant of two constants 0 instead of 1.
"""

from collections.abc import Callable

import numpy as np
import pytest

from metrics import (
    confusion,
    dice,
    e_measure_adaptive,
    e_measure_curve,
    e_measure_max,
    e_measure_mean,
    iou,
    mae,
    overlap_curves,
    precision,
    s_measure,
    score_soft,
    sensitivity,
    specificity,
    threshold_counts,
    weighted_f,
)

py_sod_metrics = pytest.importorskip(
    "py_sod_metrics", reason="pip install --no-deps pysodmetrics and pip install scikit-learn"
)

SHAPES = {"tiny": (2, 3), "tall": (65, 24)}
KINDS = ["random", "levels", "tall", "tiny", "one px", "halves", "two lesions", "blob"]
KINDS += ["empty", "full", "constant", "zeros", "ones", "zeros, empty", "ones, full"]
OVERLAP = {
    "dice": (dice, "DICEHandler"),
    "iou": (iou, "IOUHandler"),
    "sensitivity": (sensitivity, "SensitivityHandler"),
    "specificity": (specificity, "SpecificityHandler"),
    "precision": (precision, "PrecisionHandler"),
}


def make_case(kind: str, dtype: type) -> tuple[np.ndarray, np.ndarray]:
    """A map and a target of the named kind; random unless it says otherwise."""
    rng = np.random.default_rng(5)
    shape = SHAPES.get(kind, (32, 47))
    prob, target = rng.random(shape), rng.random(shape) < 0.2
    target.flat[:2] = True, False
    first, _, second = kind.partition(", ")
    if kind == "levels":
        prob = rng.integers(0, 256, shape) / 255
    elif kind == "blob":
        rows, columns = np.indices(shape)
        squared = (rows - 14) ** 2 + (columns - 20) ** 2
        target, prob = squared < 64, np.exp(-squared / 70) * 0.98 + 0.02 * prob
    elif first in ("constant", "zeros", "ones"):
        prob = np.full(shape, {"constant": 0.75, "zeros": 0.0, "ones": 1.0}[first])
    boxes = {
        "one px": [(slice(9, 10), slice(20, 21))],
        "halves": [(slice(2, 4), slice(3, 5))],  # centroid (2.5, 3.5)
        "two lesions": [(slice(3, 9), slice(4, 12)), (slice(10, 19), slice(22, 30))],
    }
    if kind in boxes:
        target[:] = False
        for box in boxes[kind]:
            target[box] = True
    if "empty" in (first, second) or "full" in (first, second):
        target[:] = "full" in (first, second)
    return prob.astype(dtype), target


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> type:
    return request.param


@pytest.fixture(params=KINDS)
def case(request: pytest.FixtureRequest, dtype: type) -> tuple[np.ndarray, np.ndarray]:
    return make_case(request.param, dtype)


def their_results(metric: object, case: tuple[np.ndarray, np.ndarray]) -> dict:
    metric.step(*case, normalize=False)
    return metric.get_results()


def approx(value: object) -> object:
    return pytest.approx(np.asarray(value, dtype=np.float64), abs=1e-6)


def test_e_measure(case: tuple[np.ndarray, np.ndarray]) -> None:
    theirs = their_results(py_sod_metrics.Emeasure(), case)["em"]
    curve = np.ravel(theirs["curve"])[::-1]  # theirs falls from 1 to 0
    assert e_measure_curve(*case) == approx(curve)
    assert e_measure_mean(*case) == approx(curve.mean())
    assert e_measure_max(*case) == approx(curve.max())
    assert e_measure_adaptive(*case) == approx(theirs["adp"])


@pytest.mark.parametrize(
    ("ours", "theirs", "key"),
    [
        (s_measure, "Smeasure", "sm"),
        (mae, "MAE", "mae"),
        (weighted_f, "WeightedFmeasure", "wfm"),
    ],
)
def test_soft_measures(
    case: tuple[np.ndarray, np.ndarray], ours: Callable[..., float], theirs: str, key: str
) -> None:
    expected = their_results(getattr(py_sod_metrics, theirs)(), case)[key]
    assert ours(*case) == approx(expected)


def test_all_soft_scores_at_once(case: tuple[np.ndarray, np.ndarray]) -> None:
    scores = score_soft(*case)
    e_measure = their_results(py_sod_metrics.Emeasure(), case)["em"]
    assert scores[:-1] == approx(
        [
            their_results(py_sod_metrics.MAE(), case)["mae"],
            e_measure["adp"],
            e_measure["curve"].mean(),
            e_measure["curve"].max(),
            their_results(py_sod_metrics.Smeasure(), case)["sm"],
        ]
    )


@pytest.mark.parametrize("name", OVERLAP)
def test_overlap(case: tuple[np.ndarray, np.ndarray], name: str) -> None:
    ours, handler = OVERLAP[name]
    theirs = py_sod_metrics.FmeasureV2(
        {name: getattr(py_sod_metrics, handler)(with_dynamic=True, with_adaptive=False)}
    )
    theirs.add_handler(
        "binary",
        getattr(py_sod_metrics, handler)(with_dynamic=False, with_adaptive=False, with_binary=True),
    )
    results, (prob, target) = their_results(theirs, case), case
    counts = confusion(prob >= 0.5, target)
    assert ours(counts, empty_target="zero") == approx(results["binary"]["binary"])
    if name != "iou":
        curves = overlap_curves(threshold_counts(*case), empty_target="zero")
        assert getattr(curves, name) == approx(results[name]["dynamic"][::-1])


def test_f_measure(case: tuple[np.ndarray, np.ndarray]) -> None:
    handler = py_sod_metrics.FmeasureHandler(with_dynamic=True, with_adaptive=False, beta=0.3)
    theirs = their_results(py_sod_metrics.FmeasureV2({"f": handler}), case)
    curves = overlap_curves(threshold_counts(*case), empty_target="zero")
    assert curves.f_measure == approx(theirs["f"]["dynamic"][::-1])


@pytest.mark.parametrize("kind", ["random", "tall", "two lesions", "blob", "empty", "full"])
def test_a_stretched_map_scores_as_theirs_with_normalize(kind: str) -> None:
    prob, target = make_case(kind, np.float64)
    levels = np.round(40 + 150 * prob).astype(np.uint8)  # an image file of a dull map
    grey = levels / 255
    stretched = (grey - grey.min()) / (grey.max() - grey.min())
    ours = [*score_soft(stretched, target)[:-1], weighted_f(stretched, target)]
    theirs = {}
    for name in ("MAE", "Emeasure", "Smeasure", "WeightedFmeasure"):
        metric = getattr(py_sod_metrics, name)()
        metric.step(levels, 255 * target.astype(np.uint8), normalize=True)
        theirs |= metric.get_results()
    e_measure = theirs["em"]
    expected = [theirs["mae"], e_measure["adp"], e_measure["curve"].mean()]
    expected += [e_measure["curve"].max(), theirs["sm"], theirs["wfm"]]
    assert ours == approx(expected)
    raw = score_soft(grey, target)
    assert abs(raw.mae - ours[0]) > 0.01  # without the stretch, another score
