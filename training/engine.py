"""The visible training loop: one epoch of training, one pass of evaluation."""

import time
from collections.abc import Callable, Iterable

import torch
from torch import nn

from metrics import ClassMeter, Meter
from training.epoch_record import Averages, EpochRecord
from training.prediction import check_prediction, lesion_prob, logits_to_prob, predict
from training.runtime import Runtime
from training.step import TrainingStep
from utils.contracts import Batch, SegOutput
from utils.progress import Progress


def train_one_epoch(
    step: TrainingStep,
    batches: Iterable[Batch],
    record: EpochRecord,
    progress: Progress | None = None,
    after_step: Callable[[], None] | None = None,
) -> None:
    """Fit the network to every batch once.

    Args:
        step: Makes an optimizer step of a batch.
        batches: Collated batches.
        record: Loss terms, pooled Dice and seconds are added to it.
        progress: Told the running means after each step.
        after_step: Called between two steps, when everything can be kept.

    Raises:
        NonFiniteError: Before the step that would have spoilt the weights.
    """
    step.train()
    start = time.perf_counter() - record.seconds
    for batch in batches:
        terms, output, seen = step(batch)
        record.update(terms, output.mask, seen["mask"])
        record.seconds = time.perf_counter() - start
        if progress:
            progress.show(record.loss(), record.dice())
        if after_step:
            after_step()


@torch.no_grad()
def evaluate(
    model: nn.Module,
    batches: Iterable[Batch],
    runtime: Runtime,
    meter: Meter,
    loss: nn.Module | None = None,
    classes: ClassMeter | None = None,
    lungs: Meter | None = None,
) -> Averages:
    """Score every slice with the meter.

    Args:
        model: Network, prepared by the runtime.
        batches: Collated batches.
        runtime: Device, precision, memory format.
        meter: Gets one case per slice, of lesion against background.
        loss: Taken along, where given, batch by batch.
        classes: Gets one case per slice, where classes are told apart.
        lungs: Where given, gets one case per slice with a lung mask, of the lung head.

    Returns:
        The loss terms; empty without a loss.
    """
    averages = Averages()
    if loss is not None:
        loss.eval()
    for batch, output in predict(model, batches, runtime):
        if loss is not None:
            terms = loss(output, batch)
            averages.update({k: v.item() for k, v in terms.items()}, len(batch["name"]))
        add_cases(meter, output, batch, classes)
        if lungs is not None:
            add_lungs(lungs, output, batch)
    return averages


def add_cases(
    meter: Meter, output: SegOutput, batch: Batch, classes: ClassMeter | None = None
) -> None:
    """Give the meters every slice of a batch.

    Raises:
        NonFiniteError: A prediction holds NaN; names the slice.
    """
    probs = logits_to_prob(output.mask)
    prob = lesion_prob(probs)[:, 0].cpu().numpy()
    target = batch["mask"][:, 0].cpu().numpy() > 0.5
    for index, name in enumerate(batch["name"]):
        check_prediction(prob[index], name)
        meter.update(prob[index], target[index], name, batch["patient"][index])
        if classes is not None:
            own = (probs[index].cpu().numpy(), batch["label"][index].cpu().numpy())
            classes.update(*own, name, batch["patient"][index])


def add_lungs(meter: Meter, output: SegOutput, batch: Batch) -> None:
    """Give the meter the lungs of every slice of a batch that comes with a lung mask.

    Raises:
        NonFiniteError: A prediction holds NaN; names the slice.
    """
    prob = logits_to_prob(output.lung)[:, 0].cpu().numpy()
    target = batch["lung"][:, 0].cpu().numpy() > 0.5
    for index in batch["has_lung"].nonzero().flatten().tolist():
        name = batch["name"][index]
        check_prediction(prob[index], name)
        meter.update(prob[index], target[index], name, batch["patient"][index])
