"""The visible training loop: one epoch of training, one pass of evaluation."""

import math
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from metrics import Meter
from utils.contracts import Batch, SegOutput
from utils.errors import UserError
from utils.progress import Progress
from utils.runtime import Runtime


class NonFiniteError(UserError):
    """A loss or gradient that is not finite; the weights are those before the step."""


class Averages:
    """Means of named values, weighted by the number of slices behind each."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self.num_slices = 0

    def update(self, values: dict[str, float], num_slices: int) -> None:
        """Add a batch's values."""
        self.num_slices += num_slices
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value * num_slices

    def means(self) -> dict[str, float]:
        """The means so far."""
        return {name: value / self.num_slices for name, value in self._sums.items()}


class TrainResult(NamedTuple):
    """What an epoch of training gave: mean loss terms, pooled Dice, speed in slices/s."""

    terms: dict[str, float]
    dice_pooled: float
    images_per_second: float


def check_heads(model: nn.Module, loss: nn.Module) -> list[str]:
    """Refuse a loss that needs a head which the network lacks.

    Returns:
        The heads that the network computes and the loss leaves untrained.

    Raises:
        UserError: Names the missing heads.
    """
    missing = sorted(loss.required_heads - model.heads)
    if missing:
        raise UserError(
            f"loss.function: the loss supervises {', '.join(missing)} side outputs, which this "
            "network lacks; give model.args the stages, set the term's weight in loss.args to 0, "
            "or take loss.function dice"
        )
    return sorted(model.heads - loss.required_heads)


def train_one_epoch(
    model: nn.Module,
    loss: nn.Module,
    batches: Iterable[Batch],
    optimizer: torch.optim.Optimizer,
    runtime: Runtime,
    gradient_clip: float | None,
    progress: Progress | None = None,
) -> TrainResult:
    """Fit the network to every batch once.

    Args:
        model: Network, prepared by the runtime.
        loss: Named terms with their total.
        batches: Collated batches.
        optimizer: Over the network's parameters.
        runtime: Device, precision, memory format.
        gradient_clip: Largest gradient norm; None does not clip.
        progress: Told the running means after each step.

    Raises:
        NonFiniteError: Before the step that would have spoilt the weights.
    """
    model.train()
    averages, counts, start = Averages(), PooledDice(), time.perf_counter()
    for batch in batches:
        batch = runtime.move(batch)
        with runtime.autocast():
            output = model(batch["image"])
        terms = loss(output, batch)
        check_finite(terms, batch["name"])
        optimizer.zero_grad(set_to_none=True)
        terms["total"].backward()
        clip_gradients(model, gradient_clip, batch["name"])
        optimizer.step()
        averages.update({k: v.item() for k, v in terms.items()}, len(batch["name"]))
        counts.update(output.mask, batch["mask"])
        if progress:
            progress.show(averages.means()["total"], counts.dice())
    seconds = time.perf_counter() - start
    return TrainResult(averages.means(), counts.dice(), averages.num_slices / seconds)


@torch.no_grad()
def evaluate(
    model: nn.Module,
    batches: Iterable[Batch],
    runtime: Runtime,
    meter: Meter,
    loss: nn.Module | None = None,
) -> dict[str, float]:
    """Score every slice with the meter.

    Args:
        model: Network, prepared by the runtime.
        batches: Collated batches.
        runtime: Device, precision, memory format.
        meter: Gets one case per slice.
        loss: Taken along, where given.

    Returns:
        Mean loss terms; {} without a loss.
    """
    averages = Averages()
    for batch, output in predict(model, batches, runtime):
        if loss is not None:
            terms = loss(output, batch)
            averages.update({k: v.item() for k, v in terms.items()}, len(batch["name"]))
        add_cases(meter, output, batch)
    return averages.means()


@torch.no_grad()
def predict(
    model: nn.Module, batches: Iterable[Batch], runtime: Runtime, with_maps: bool = False
) -> Iterator[tuple[Batch, SegOutput]]:
    """Each batch, moved, with the network's output in evaluation mode; inner maps on request."""
    model.eval()
    for batch in batches:
        batch = runtime.move(batch)
        with runtime.autocast():
            output = model(batch["image"], with_maps=with_maps)
        yield batch, output


def add_cases(meter: Meter, output: SegOutput, batch: Batch) -> None:
    """Give the meter every slice of a batch.

    Raises:
        UserError: A prediction is not finite; names the slice.
    """
    prob = torch.sigmoid(output.mask.float())[:, 0].cpu().numpy()
    target = batch["mask"][:, 0].cpu().numpy() > 0.5
    for index, name in enumerate(batch["name"]):
        if math.isnan(prob[index].sum()):
            raise NonFiniteError(f"case {name}: the prediction holds NaN; the weights are spoilt")
        meter.update(prob[index], target[index], name, batch["patient"][index])


def check_finite(terms: dict[str, Tensor], names: list[str]) -> None:
    """Refuse a loss that is not finite, naming the batch and the terms."""
    if not torch.isfinite(terms["total"]):
        values = ", ".join(f"{name} {value.item():g}" for name, value in terms.items())
        raise NonFiniteError(
            f"the loss is not finite ({values}) on the batch {', '.join(names)}; the weights are "
            "unchanged; look at these slices, or lower optimizer.learning_rate"
        )


def clip_gradients(model: nn.Module, largest: float | None, names: list[str]) -> None:
    """Scale the gradient down to a largest norm; refuse one that is not finite."""
    parameters = [p for p in model.parameters() if p.grad is not None]
    norm = nn.utils.get_total_norm(p.grad for p in parameters)
    if not torch.isfinite(norm):
        raise NonFiniteError(
            f"the gradient is not finite on the batch {', '.join(names)}; the weights are "
            "unchanged; look at these slices, or lower optimizer.learning_rate"
        )
    if largest is not None:
        nn.utils.clip_grads_with_norm_(parameters, largest, norm)


class PooledDice:
    """Running Dice over all pixels seen, at probability 0.5: a pseudo score for the bar."""

    def __init__(self) -> None:
        self._overlap, self._total = 0.0, 0.0

    @torch.no_grad()
    def update(self, logits: Tensor, target: Tensor) -> None:
        """Add a batch."""
        pred = logits > 0
        self._overlap += 2 * target[pred].sum().item()
        self._total += pred.sum().item() + target.sum().item()

    def dice(self) -> float:
        """Dice so far; 1 where neither side has a pixel."""
        return self._overlap / self._total if self._total else 1.0
