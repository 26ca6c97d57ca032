"""Masks of a second annotator, scored against the first's as if they were a prediction."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from datasets.image_io import read_gray
from datasets.inspection import recognise_masks
from datasets.pairing import images_by_stem
from evaluation.cases import Case
from evaluation.files import EvaluationFiles
from evaluation.scoring import build_meter, evaluate_cases
from evaluation.tables import format_scores
from metrics.protocols import NATIVE
from training.data import build_dataset
from training.run_info import collect_environment
from training.split import Split
from utils.config import Config
from utils.config_loader import dump_config
from utils.errors import UserError
from utils.messages import count, first_of

FOLDER = "second_masks"


class SecondMasks:
    """The slices of a split that both annotators have drawn, as cases.

    Args:
        folder: The second annotator's masks, under the stems of the slices; a stem alone decides,
            so one folder may serve several splits.
        split: The slices with the first annotator's masks.
        config: How these are read.

    Raises:
        UserError: No such folder, no mask of any slice, or masks of more than two values.
    """

    classes: Mapping[str, int] = MappingProxyType({})

    def __init__(self, folder: Path, split: Split, config: Config) -> None:
        if not folder.is_dir():
            raise UserError(f"--second-masks {folder}: no such folder")
        paths = images_by_stem(folder)
        self.places = [i for i, entry in enumerate(split.slices) if entry.name in paths]
        if not self.places:
            raise UserError(
                f"--second-masks {folder}: no mask of a slice of {split.name}, which are named as "
                f"{split.slices[0].name}; name masks as their slices"
            )
        self.entries = [split.slices[place] for place in self.places]
        self.paths = [paths[entry.name] for entry in self.entries]
        self.missing = [entry.name for entry in split.slices if entry.name not in paths]
        values = [frozenset(np.unique(read_gray(path)).tolist()) for path in self.paths]
        self.encoding = recognise_masks(self.paths, values, config.data.lesion_values)
        self.dataset = build_dataset(config.data, split, augment=False)
        self.has_spacing = all(entry.spacing is not None for entry in self.entries)

    def __len__(self) -> int:
        return len(self.places)

    def cases(self, indices: Sequence[int] | None = None) -> Iterator[Case]:
        """The second mask as the map, of 0 and 1, the first as the target.

        Raises:
            UserError: The two differ in size.
        """
        for i in range(len(self)) if indices is None else indices:
            entry, path = self.entries[i], self.paths[i]
            image, target = self.dataset.original(self.places[i])
            second = np.isin(read_gray(path), self.encoding.lesion_values)
            if second.shape != target.shape:
                raise UserError(
                    f"{path}: {second.shape[0]} x {second.shape[1]} px, but the slice has "
                    f"{target.shape[0]} x {target.shape[1]} px; give masks of the slices' size"
                )
            prob = second.astype(np.float32)
            yield Case(entry.name, entry.patient, image, prob, target, entry.spacing)


def score_second_masks(folder: Path, split: Split, config: Config, out: Path) -> str:
    """Write <out>/second_masks/{metrics.json, per_case.csv, ...}: how far two annotators agree.

    Args:
        folder: The second annotator's masks.
        split: The slices, with the first's.
        config: How slices are read and scored.
        out: Of the run.

    Returns:
        The tables as lines for a terminal, and the slices that have no second mask.

    Raises:
        UserError: As SecondMasks, or a file cannot be written.
    """
    source = SecondMasks(folder, split, config)
    meter = build_meter(NATIVE, config.evaluation, has_spacing=source.has_spacing)
    files = EvaluationFiles(out / FOLDER, has_report=False)
    with files.open() as viewers:
        evaluation = evaluate_cases(source.cases(), NATIVE, meter, viewers)
        summary = evaluation.summary | {
            "split": split.name,
            "data_set": Path(config.data.root).resolve().name,
            "masks": str(folder),
            "run": "second annotator",
            "run_info": collect_environment(),
        }
        files.write(evaluation, summary, dump_config(config))
    lines = [f"second annotator, {folder}", format_scores(summary)]
    if source.missing:
        missing = count(len(source.missing), "slice")
        lines.append(f"{missing} without a second mask: {first_of(source.missing)}")
    return "\n".join([*lines, f"scores   {files.out / 'metrics.json'}"])
