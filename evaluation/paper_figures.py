"""The paper's figures as files, of one run or of several: cases predicted, drawn and written."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor, nn

from datasets.batches import SliceKey, create_loader
from figures.classes import draw_class_maps
from figures.paper import (
    LOGIT_MAPS,
    Prediction,
    ShownCase,
    SideMap,
    draw_figure_6,
    draw_figure_7,
    draw_figure_8,
)
from figures.side_outputs import list_side_outputs
from training.data import build_dataset
from training.ensemble import Ensemble
from training.prediction import (
    boxes_of,
    check_prediction,
    drop_small_lesions,
    lesion_prob,
    logits_to_prob,
    output_to_prob,
    predict,
    resize_prob,
    resize_probs,
)
from training.runtime import Runtime
from training.split import Split
from training.trained_run import TrainedRun
from utils.config import Config, EvaluationConfig
from utils.contracts import Batch, SegOutput
from utils.files import whole_file

DPI = 300
_NO_ORIGIN = {
    "png": {"Software": None},
    "pdf": dict.fromkeys(("Creator", "Producer", "CreationDate")),
}
_NEEDED = {7: "side outputs", 8: "attention fusion, whose maps it shows"}


def pick_by_area(areas: Sequence[float], count: int) -> list[int]:
    """Cases with lesion from small to large, evenly spread over the order by lesion area.

    Args:
        areas: Of every case, 0 without lesion.
        count: How many; fewer where there are fewer with lesion.

    Returns:
        Indices; of any cases where none has a lesion.
    """
    order = [i for i, area in enumerate(areas) if area] or list(range(len(areas)))
    order.sort(key=lambda i: areas[i])
    count = min(count, len(order))
    return [order[(2 * rank + 1) * len(order) // (2 * count)] for rank in range(count)]


def save_paper_figures(
    folder: Path,
    runs: Iterable[TrainedRun],
    split: Split,
    picked: Sequence[int],
    formats: Sequence[str] = ("png",),
) -> list[Path]:
    """Figure 6 of all runs together, figures 7 and 8 of each, with its name where it is not alone.

    Runs that tell classes apart have their class maps in a figure of their own.

    Args:
        folder: Existing folder; a figure of before that a run cannot have goes.
        runs: Taken one after another; their networks are not kept.
        split: Where the cases are, for all runs.
        picked: Indices of the cases, a row each.
        formats: Of the files, png or pdf.

    Returns:
        The files written, all of them or, where anything fails before, none.

    Raises:
        OSError: The folder cannot be written to.
    """
    preds: dict[str, list[np.ndarray]] = {}
    labels: dict[str, list[np.ndarray]] = {}
    figures: dict[tuple[int, str], Figure | None] = {}
    models = {}
    cases: list[ShownCase] = []
    for run in runs:
        cases = cases or read_cases(run.config, split, picked)
        predictions = predict_cases(run.config, run.network, split, run.runtime, picked, cases)
        threshold = run.config.evaluation.threshold
        preds[run.name] = [prediction.prob >= threshold for prediction in predictions]
        if predictions[0].label is not None:
            labels[run.name] = [prediction.label for prediction in predictions]
        figures[7, run.name] = draw_figure_7(cases, predictions)
        figures[8, run.name] = draw_figure_8(cases, predictions)
        is_ensemble = isinstance(run.network, Ensemble)
        models[run.name] = "ensemble" if is_ensemble else run.config.model.name
    named: dict[str, Figure | None] = {"figure_6": draw_figure_6(cases, preds)}
    names = split.inspection.encoding.classes
    named["class_maps"] = draw_class_maps(cases, labels, names) if labels else None
    for (number, name), figure in figures.items():
        file = f"figure_{number}_{name}" if len(preds) > 1 else f"figure_{number}"
        named[file] = figure
        if figure is None:
            print(f"{file}.{formats[0]} left out: this {models[name]} has no {_NEEDED[number]}")
    return save_figures(folder, {f"{n}.{form}": f for form in formats for n, f in named.items()})


def save_figures(folder: Path, figures: Mapping[str, Figure | None]) -> list[Path]:
    """Write every figure whole, none of them before all can be; remove what is None.

    Args:
        folder: Existing folder.
        figures: By file name, .png or .pdf; None for one that is no longer to be there.

    Returns:
        The files written.

    Raises:
        UserError: The folder cannot be written to.
    """
    with ExitStack() as drafts:
        for name, figure in figures.items():
            if figure is not None:
                draft = drafts.enter_context(whole_file(folder / name))
                # Without version and date, so that equal figures are equal files.
                form = Path(name).suffix[1:]
                figure.savefig(draft, format=form, dpi=DPI, metadata=_NO_ORIGIN[form])
    for name, figure in figures.items():
        if figure is None:
            (folder / name).unlink(missing_ok=True)
    return [folder / name for name, figure in figures.items() if figure is not None]


def read_cases(config: Config, split: Split, picked: Sequence[int]) -> list[ShownCase]:
    """Slices as stored, by their indices."""
    dataset, cases = build_dataset(config.data, split, augment=False), []
    for index in picked:
        image, label = dataset.original_label(index)
        cases.append(ShownCase(split.slices[index].name, image, label > 0, label))
    return cases


def lesion_areas(config: Config, split: Split) -> list[int]:
    """Lesion px of every slice of a split, as stored."""
    dataset = build_dataset(config.data, split, augment=False)
    return [
        int(dataset.original(index)[1].sum()) if has_lesion else 0
        for index, has_lesion in enumerate(split.inspection.has_lesion)
    ]


def predict_cases(
    config: Config,
    network: nn.Module,
    split: Split,
    runtime: Runtime,
    picked: Sequence[int],
    cases: Sequence[ShownCase],
) -> list[Prediction]:
    """What a network makes of some slices, one at a time.

    Args:
        config: How the slices are read.
        network: Prepared by the runtime.
        split: Where they are.
        runtime: Device, precision, memory format.
        picked: Their indices.
        cases: The same slices at their own size, to which the maps are resized bilinearly.

    Raises:
        NonFiniteError: A prediction holds NaN; names the slice.
    """
    dataset = build_dataset(config.data, split, augment=False)
    loader = create_loader(dataset, [[SliceKey(index)] for index in picked], num_workers=0)
    stages = getattr(network, "side_outputs", None)
    predictions = []
    outputs = predict(network, loader, runtime, with_maps=True)
    for case, (batch, output) in zip(cases, outputs, strict=True):
        prediction = _prediction(batch, output, stages, case.image.shape, config.evaluation)
        check_prediction(prediction.prob, case.name)
        predictions.append(prediction)
    return predictions


def _prediction(
    batch: Batch,
    output: SegOutput,
    stages: dict[str, tuple[str, ...]] | None,
    size: tuple[int, int],
    settings: EvaluationConfig,
) -> Prediction:
    """The maps of a batch of one slice, resized."""
    (box,) = boxes_of(batch)

    def resized(values: Tensor) -> np.ndarray:
        return resize_prob(values[0, 0].float(), size, box).cpu().numpy()

    probs = logits_to_prob(output.mask)[0]
    probs = drop_small_lesions(probs, settings.threshold, settings.min_lesion_size)
    probs = resize_probs(probs, size, box)
    output = output_to_prob(output)
    return Prediction(
        label=probs.argmax(dim=0).cpu().numpy() if len(probs) > 1 else None,
        prob=lesion_prob(probs[None])[0, 0].cpu().numpy(),
        edge=resized(batch["edge"]),
        sides=[
            SideMap(side.name, side.module, side.is_edge, resized(side.prob))
            for side in list_side_outputs(output, stages)
        ],
        maps={
            name: resized(lesion_prob(logits_to_prob(values)) if name in LOGIT_MAPS else values)
            for name, values in output.maps.items()
        },
    )
