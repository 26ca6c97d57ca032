"""One optimizer step: forward, named loss terms, checks, backward, clip, Adam, moving average."""

import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from training.activation_checkpointing import frozen_statistics
from training.distributed import World
from training.runtime import Runtime
from training.scales import Size, resize_batch
from training.state import TrainingState
from utils.contracts import Batch, SegOutput
from utils.errors import NonFiniteError


class StepResult(NamedTuple):
    """The loss terms of the whole batch; logits and targets of this process's share of it."""

    terms: dict[str, Tensor]
    output: SegOutput
    batch: Batch


class TrainingStep:
    """Fits the network to one batch.

    The batch of a step is spread over the processes of the job, and each computes its share in
    `num_parts` parts. The loss always sees the whole batch: over the processes through the sums in
    losses.shared_batch, over the parts because they are first run without gradients, and again,
    one by one, with the gradient of the batch's loss with respect to their logits. That costs one
    more forward pass and equals the undivided step but for the batch statistics.

    Args:
        state: Network, optimizer, loss scaler, moving average.
        loss: Named terms with their total.
        runtime: Device, precision, memory format.
        world: The processes of the job.
        num_parts: Parts of a process's share; more take less memory.
        gradient_clip: Largest gradient norm; None does not clip.
        clip_by: "norm", or "value": gradient_clip is the largest size of any of its elements.
        sizes: (H, W) that a batch is resized to, an optimizer step at each; none: as it is.
    """

    def __init__(
        self,
        state: TrainingState,
        loss: nn.Module,
        runtime: Runtime,
        *,
        world: World | None = None,
        num_parts: int = 1,
        gradient_clip: float | None = None,
        clip_by: str = "norm",
        sizes: Sequence[Size] = (),
    ) -> None:
        self.state, self.loss, self.runtime = state, loss, runtime
        self.world, self.num_parts = world or World(), num_parts
        self.gradient_clip, self.clip_by, self.sizes = gradient_clip, clip_by, sizes
        self.network = _over_processes(state.model, self.world, runtime)

    def train(self) -> None:
        """Switch network and loss to training."""
        self.network.train()
        self.loss.train()

    def __call__(self, batch: Batch) -> StepResult:
        """Make the step, or one at each size.

        Returns:
            Of the size nearest to the batch's own.

        Raises:
            NonFiniteError: Before the step that would have spoilt the weights.
        """
        batch = self.runtime.move(batch)
        own = tuple(batch["image"].shape[-2:])
        sizes = self.sizes or (own,)
        nearest = min(range(len(sizes)), key=lambda i: abs(sizes[i][0] - own[0]))
        for index, size in enumerate(sizes):
            made = self._at_size(resize_batch(batch, size))
            if index == nearest:
                result = made
        return result

    def _at_size(self, batch: Batch) -> StepResult:
        """One optimizer step."""
        self.state.optimizer.zero_grad(set_to_none=True)
        result = self._whole(batch) if self.num_parts == 1 else self._in_parts(batch)
        if self._unscaled_gradient_is_usable(batch):
            self.state.scaler.step(self.state.optimizer)
            if self.state.ema is not None:
                self.state.ema.update_parameters(self.state.model)
        self.state.scaler.update()
        return result

    def _forward(self, batch: Batch) -> SegOutput:
        with self.runtime.autocast():
            return self.network(batch["image"])

    def _whole(self, batch: Batch) -> StepResult:
        """Loss and gradients of the batch in one piece."""
        output = self._forward(batch)
        result = self._finite_terms(output, batch)
        self.state.scaler.scale(result.terms["total"]).backward()
        return result

    def _in_parts(self, batch: Batch) -> StepResult:
        """Loss of the whole batch, gradients part by part."""
        # As many parts in every process: batch statistics travel within a forward pass.
        num_parts = min(self.num_parts, *self.world.gather(len(batch["name"])))
        parts = split_batch(batch, num_parts)
        random = torch.get_rng_state(), _cuda_rng_state(self.runtime)
        with torch.no_grad(), frozen_statistics(self.network):
            output = SegOutput.join([self._forward(part) for part in parts])
        output = output.apply(lambda logits: logits.requires_grad_())
        result = self._finite_terms(output, batch)
        self.state.scaler.scale(result.terms["total"]).backward()
        sizes = [len(part["name"]) for part in parts]
        wanted = zip(*[_gradient(logits).split(sizes) for logits in output.logits()], strict=True)
        # The second run draws what the first one drew: the same dropout.
        torch.set_rng_state(random[0])
        if random[1] is not None:
            torch.cuda.set_rng_state(random[1])
        for index, (part, gradients) in enumerate(zip(parts, wanted, strict=True)):
            with self._communication(is_last=index == len(parts) - 1):
                _backward(self._forward(part), gradients)
        return result

    def _communication(self, is_last: bool) -> AbstractContextManager[None]:
        """Gradients travel between the processes once, with the last part."""
        if self.world.size == 1 or is_last:
            return nullcontext()
        return self.network.no_sync()

    def _finite_terms(self, output: SegOutput, batch: Batch) -> StepResult:
        """The loss terms over the slices that count, once every process has finite ones."""
        if self.world.size > 1:
            output, batch = drop_padding(output, batch)
        return self._if_finite(self.loss(output, batch), output, batch)

    def _if_finite(self, terms: dict[str, Tensor], output: SegOutput, batch: Batch) -> StepResult:
        """The result, once every process has a finite total."""
        if self.world.any(not torch.isfinite(terms["total"]).item()):
            values = ", ".join(f"{name} {value.item():g}" for name, value in terms.items())
            raise self._not_finite(f"the loss is not finite ({values})", batch)
        return StepResult(terms, output, batch)

    def _unscaled_gradient_is_usable(self, batch: Batch) -> bool:
        """Clip the gradient.

        Returns:
            False where fp16's loss scale was too large: the scaler lowers it, this step is lost.
        """
        scaler = self.state.scaler
        scaler.unscale_(self.state.optimizer)
        parameters = [p for p in self.state.model.parameters() if p.grad is not None]
        norm = nn.utils.get_total_norm(p.grad for p in parameters)
        if not torch.isfinite(norm):
            if scaler.is_enabled() and scaler.get_scale() > 1:
                return False
            raise self._not_finite("the gradient is not finite", batch)
        if self.gradient_clip is not None and self.clip_by == "value":
            nn.utils.clip_grad_value_(parameters, self.gradient_clip)
        elif self.gradient_clip is not None:
            nn.utils.clip_grads_with_norm_(parameters, self.gradient_clip, norm)
        return True

    def _not_finite(self, what: str, batch: Batch) -> NonFiniteError:
        """The error, with the slices of all processes."""
        names = ", ".join(name for share in self.world.gather(batch["name"]) for name in share)
        precision = ", or take training.precision=bf16" if self.state.scaler.is_enabled() else ""
        return NonFiniteError(
            f"{what} on the batch {names}; the weights are unchanged; look at these slices, or "
            f"lower optimizer.learning_rate{precision}"
        )


def split_batch(batch: Batch, num_parts: int) -> list[Batch]:
    """The batch in parts of nearly equal size."""
    num_slices = len(batch["name"])
    bounds = [num_slices * part // num_parts for part in range(num_parts + 1)]
    return [
        {key: value[start:end] for key, value in batch.items()} for start, end in pairwise(bounds)
    ]


def drop_padding(output: SegOutput, batch: Batch) -> tuple[SegOutput, Batch]:
    """Output and batch without slices that only keep a process in step; possibly none."""
    flags = batch["is_padding"].tolist()
    if not any(flags):
        return output, batch
    kept = [index for index, is_padding in enumerate(flags) if not is_padding]
    rest = {
        key: value[kept] if isinstance(value, Tensor) else [value[index] for index in kept]
        for key, value in batch.items()
    }
    return output.apply(lambda logits: logits[kept]), rest


def _over_processes(model: nn.Module, world: World, runtime: Runtime) -> nn.Module:
    """The network, its gradients averaged over the processes where there are several."""
    if world.size == 1:
        return model
    warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
    device_ids = [world.local_rank] if runtime.device.type == "cuda" else None
    return DistributedDataParallel(model, device_ids=device_ids, gradient_as_bucket_view=True)


def _backward(output: SegOutput, gradients: Sequence[Tensor]) -> None:
    """Send the gradients of the loss back from those logits that were trained at all."""
    pairs = zip(output.logits(), gradients, strict=True)
    logits, gradients = zip(*[pair for pair in pairs if pair[0].requires_grad], strict=True)
    torch.autograd.backward(logits, gradients)


def _gradient(logits: Tensor) -> Tensor:
    """The gradient of the loss; zeros for logits that it does not look at."""
    return torch.zeros_like(logits) if logits.grad is None else logits.grad


def _cuda_rng_state(runtime: Runtime) -> Tensor | None:
    return torch.cuda.get_rng_state() if runtime.device.type == "cuda" else None
