"""Several classes of an evaluation: a meter each, areas, and the confusion matrix in px."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from evaluation.cases import Case, CaseSource
from evaluation.scoring import build_meter, score_intervals
from metrics.case import ScoredCase
from metrics.class_meter import ClassMeter, count_classes
from metrics.meter import CurveMeter
from metrics.protocols import NATIVE, Protocol
from utils.config import EvaluationConfig
from utils.errors import UserError

_MM2_PER_CM2 = 100


class ClassScores:
    """Sees every case that is scored.

    Args:
        classes: Value in the class maps by name, in the order of the channels from 1.
        create_meter: Gives a new meter, one for each class.
    """

    def __init__(self, classes: Mapping[str, int], create_meter: Callable[[], CurveMeter]) -> None:
        self.classes = dict(classes)
        self.meter = ClassMeter({name: create_meter() for name in classes})
        num_channels = 1 + len(classes)
        self.confusion = np.zeros((num_channels, num_channels), np.int64)
        self._mm2 = np.zeros_like(self.confusion, dtype=float)

    def view(self, case: Case, scored: ScoredCase) -> None:
        """Score a case of a network with several classes.

        Raises:
            UserError: It cannot be scored; names it.
        """
        facts = (case.name, case.patient, case.spacing)
        try:
            pred = self.meter.update(case.class_prob, case.label, *facts)
        except ValueError as error:
            raise UserError(str(error)) from error
        counts = count_classes(case.label, pred, len(self.confusion))
        self.confusion += counts
        # NaN, for good, once the spacing of one case is unknown.
        self._mm2 += counts * (np.nan if case.spacing is None else np.prod(case.spacing))

    def summary(self) -> dict[str, Any]:
        """What the classes come to.

        Returns:
            - classes: by name, the meter's summary with intervals; area_px and pred_area_px of
              all cases, area_cm2 and pred_area_cm2 where every spacing is known.
            - class_mean: as ClassMeter.summary.
            - class_values: value in the class maps by name.
            - confusion_matrix: px, a row per target and a column per prediction, background first.
        """
        found = self.meter.summary()
        for channel, (name, meter) in enumerate(self.meter.meters.items(), 1):
            own = found["classes"][name]
            own |= score_intervals(meter, own) | self._areas(channel)
        found["class_values"] = self.classes
        found["confusion_matrix"] = self.confusion.tolist()
        return found

    def _areas(self, channel: int) -> dict[str, float]:
        areas = {
            "area_px": int(self.confusion[channel].sum()),
            "pred_area_px": int(self.confusion[:, channel].sum()),
        }
        if not np.isnan(self._mm2).any():
            areas["area_cm2"] = float(self._mm2[channel].sum() / _MM2_PER_CM2)
            areas["pred_area_cm2"] = float(self._mm2[:, channel].sum() / _MM2_PER_CM2)
        return areas

    def confusion_rows(self) -> list[dict[str, Any]]:
        """The confusion matrix for a CSV: a row per target, px and then shares of the row."""
        names, rows = ["background", *self.classes], []
        for name, counts in zip(names, self.confusion.tolist(), strict=True):
            total = sum(counts)
            row: dict[str, Any] = {"target": name}
            row |= {f"{other}_px": n for other, n in zip(names, counts, strict=True)}
            for other, n in zip(names, counts, strict=True):
                row[f"{other}_share"] = n / total if total else ""
            rows.append(row)
        return rows


def score_classes(
    source: CaseSource, protocol: Protocol, settings: EvaluationConfig
) -> ClassScores | None:
    """What scores the classes of a network; None where it tells none apart."""
    if not source.classes:
        return None
    if protocol is not NATIVE:
        print(f"protocol {protocol.name} scores any lesion; its classes are scored as in native")
    create = partial(build_meter, NATIVE, settings, has_spacing=source.has_spacing)
    return ClassScores(source.classes, create)
