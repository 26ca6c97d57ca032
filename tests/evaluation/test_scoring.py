"""A pass over cases: what the summary says, what viewers see, and that nothing is kept."""

import tracemalloc
from collections.abc import Iterator
from itertools import chain

import numpy as np
import pytest

from evaluation.cases import Case
from evaluation.scoring import Evaluation, build_meter, evaluate_cases
from metrics import mae
from metrics.protocols import COSUP, INFNET, NATIVE, PROTOCOLS
from utils.config_loader import load_config
from utils.errors import UserError

SETTINGS = load_config().evaluation


def make_cases(count: int, size: int = 32, patients: bool = True) -> Iterator[Case]:
    """Squares of rising contrast against noise; every fifth slice is healthy."""
    rng = np.random.default_rng(0)
    for index in range(count):
        target = np.zeros((size, size), dtype=bool)
        if index % 5 != 4:
            target[4 + index % 7 : 14, 6:15] = True
        prob = (0.4 * rng.random(target.shape) + 0.4 * target).astype(np.float32)
        patient = f"p{index // 5}" if patients else f"case{index}"
        yield Case(f"case{index}", patient, 100 * prob, prob, target, (0.5, 0.5))


def evaluate(protocol=NATIVE, cases=None, has_spacing: bool = True, **options) -> Evaluation:
    meter = build_meter(protocol, SETTINGS, has_spacing=has_spacing)
    return evaluate_cases(cases or make_cases(20), protocol, meter, **options)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_score_of_the_tables_lies_in_its_interval(name: str) -> None:
    protocol = PROTOCOLS[name]
    summary = evaluate(protocol).summary
    assert (summary["protocol"], summary["interval_unit"]) == (name, "patient")
    for key in chain.from_iterable(protocol.tables().values()):
        low, high = summary["intervals"][key]
        assert low <= summary[key] <= high, key
        if f"{key}_pooled" in summary and key != "lesion_f1":
            low, high = summary["intervals"][f"{key}_pooled"]
            assert low <= summary[f"{key}_pooled"] <= high, key


def test_distances_are_in_mm_only_where_every_case_has_a_spacing() -> None:
    in_mm, in_px = evaluate().summary, evaluate(has_spacing=False).summary
    assert (in_mm["distance_unit"], in_mm["surface_tolerance"]) == ("mm", SETTINGS.tolerance_mm)
    assert (in_px["distance_unit"], in_px["surface_tolerance"]) == ("px", SETTINGS.tolerance_px)
    assert in_mm["average_surface_distance"] < in_px["average_surface_distance"]


def test_slices_are_resampled_where_patients_are_not_known() -> None:
    assert evaluate(cases=make_cases(20, patients=False)).summary["interval_unit"] == "case"


def test_one_patient_has_no_interval() -> None:
    assert set(evaluate(cases=make_cases(5)).summary["intervals"].values()) == {None}


def test_the_size_is_told_where_it_is_one() -> None:
    assert evaluate().summary["scored_at"] == [32, 32]
    mixed = [*make_cases(2), *make_cases(2, size=48)]
    assert evaluate(cases=mixed).summary["scored_at"] is None


def test_viewers_see_the_map_and_the_prediction_as_scored() -> None:
    seen = []
    evaluate(INFNET, viewers=[lambda case, scored: seen.append((case, scored))])
    assert len(seen) == 20
    for case, scored in seen:
        assert (scored.prob.min(), scored.prob.max()) == (0, 1)
        assert (scored.pred == (scored.prob >= 0.5)).all()
        assert scored.raw is case.prob


def test_mean_curves_meet_the_scores_at_the_threshold() -> None:
    evaluation = evaluate(COSUP)
    pred = [(case.prob >= 128 / 255) for case in make_cases(20)]
    hits = [2 * (p & c.target).sum() for p, c in zip(pred, make_cases(20), strict=True)]
    both = [p.sum() + c.target.sum() for p, c in zip(pred, make_cases(20), strict=True)]
    expected = np.mean([h / b if b else 1 for h, b in zip(hits, both, strict=True)])
    assert evaluation.curves["dice"][128] == pytest.approx(expected)


def test_curves_are_not_defined_where_no_case_has_a_score() -> None:
    settings = SETTINGS.model_copy(update={"empty_target": "nan"})
    blank = [Case("a", "p", c.image, 0 * c.prob, 0 * c.target > 0, None) for c in make_cases(2)]
    meter = build_meter(NATIVE, settings, has_spacing=False)
    curves = evaluate_cases(blank, NATIVE, meter).curves
    assert curves["dice"][0] == 0  # threshold 0 marks every px: a false alarm
    assert np.isnan(curves["dice"][1:]).all()


def test_soft_scores_are_of_the_given_maps() -> None:
    expected = np.mean([mae(case.prob, case.target) for case in make_cases(20)])
    assert evaluate().summary["mae"] == pytest.approx(expected)
    assert evaluate(INFNET).summary["mae_raw"] == pytest.approx(expected)


def test_a_case_that_cannot_be_scored_is_named() -> None:
    case = next(make_cases(1))
    with pytest.raises(UserError, match=r"case 'case0' of patient 'p0': prob contains 1024 NaN"):
        evaluate(cases=[case._replace(prob=case.prob * np.nan)])


def test_memory_does_not_grow_by_the_cases_maps() -> None:
    size = 128
    tracemalloc.start()
    evaluate(cases=make_cases(10, size))
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    meter = build_meter(NATIVE, SETTINGS, has_spacing=True)
    for case in make_cases(100, size):
        meter.update(case.prob, case.target, case.name, case.patient, case.spacing)
    grown = (tracemalloc.get_traced_memory()[0] - before) / 100
    tracemalloc.stop()
    # A row and the counts at 256 thresholds; one map alone is 64 KiB.
    assert grown < 6 * 1024
