"""Batches in an order, and with augmentations, that depend on seed and epoch alone."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import cv2
import torch
from torch.utils.data import DataLoader, Dataset, Sampler


class SliceKey(NamedTuple):
    """What a data set is asked for: one slice.

    Attributes:
        index: Place in the data set.
        seed: Of the slice's augmentation; None draws from torch's generator.
        is_padding: Whether the slice only keeps a process in step with the others.
    """

    index: int
    seed: int | None = None
    is_padding: bool = False


class SeededBatches(Sampler[list[SliceKey]]):
    """One process's share of the batches of an epoch, in a random order per epoch.

    The batches are those of the whole job, whatever the number of processes: a batch is cut into
    contiguous shares whose sizes differ by one slice at most, larger ones first. A process without
    a share, which a last batch smaller than the job leaves over, gets the batch's first slice
    as padding, so that all processes make the same number of steps.

    A lone last slice joins the batch before it: batch norm over one value, where a network pools
    its features to 1 x 1, has no variance.

    Args:
        num_slices: Slices of an epoch: the length of the data set, but for an order of its own.
        batch_size: Slices per batch, over all processes; the last batch may be smaller, or larger
            by one slice.
        seed: The run's seed.
        rank: Number of this process.
        world_size: Number of processes.
        order: Draws the slices of an epoch, num_slices of them; None takes each once.
    """

    def __init__(
        self,
        num_slices: int,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        order: Callable[[torch.Generator], list[int]] | None = None,
    ) -> None:
        self.order = order or self._each_once
        self.num_slices, self.batch_size, self.seed = num_slices, batch_size, seed
        self.rank, self.world_size = rank, world_size
        self.epoch, self.first_step = 0, 0

    @property
    def num_steps(self) -> int:
        """Batches of a whole epoch."""
        num_full, rest = divmod(self.num_slices, self.batch_size)
        return num_full + (rest > 1 or rest == self.num_slices)

    def set_epoch(self, epoch: int, first_step: int = 0) -> None:
        """Choose the epoch, before it is iterated, and how many of its batches to leave out.

        Raises:
            ValueError: The epoch has fewer batches.
        """
        if not 0 <= first_step <= self.num_steps:
            raise ValueError(f"first_step {first_step} of an epoch of {self.num_steps} steps")
        self.epoch, self.first_step = epoch, first_step

    def __len__(self) -> int:
        return self.num_steps - self.first_step

    def __iter__(self) -> Iterator[list[SliceKey]]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = self.order(generator)
        seeds = torch.randint(2**62, (self.num_slices,), generator=generator).tolist()
        keys = [SliceKey(*pair) for pair in zip(order, seeds, strict=True)]
        for step in range(self.first_step, self.num_steps):
            stop = (step + 1) * self.batch_size if step + 1 < self.num_steps else None
            batch = keys[step * self.batch_size : stop]
            yield share_of(batch, self.rank, self.world_size)

    def _each_once(self, generator: torch.Generator) -> list[int]:
        return torch.randperm(self.num_slices, generator=generator).tolist()


def share_of(batch: list[SliceKey], rank: int, world_size: int) -> list[SliceKey]:
    """A process's part of a batch: contiguous, sizes differ by one at most, larger ones first."""
    least, more = divmod(len(batch), world_size)
    start = rank * least + min(rank, more)
    share = batch[start : start + least + (rank < more)]
    return share or [batch[0]._replace(is_padding=True)]


class OrderedBatches(Sampler[list[SliceKey]]):
    """Batches in the data set's own order, dealt out to the processes in turn, for evaluation.

    Every slice stands in one batch of one process; some processes may have a batch less.

    Args:
        num_slices: Length of the data set.
        batch_size: Slices per batch; the last batch may be smaller.
        rank: Number of this process.
        world_size: Number of processes.
    """

    def __init__(
        self, num_slices: int, batch_size: int, rank: int = 0, world_size: int = 1
    ) -> None:
        self.num_slices, self.batch_size = num_slices, batch_size
        self._starts = range(rank * batch_size, num_slices, world_size * batch_size)

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[list[SliceKey]]:
        for start in self._starts:
            stop = min(start + self.batch_size, self.num_slices)
            yield [SliceKey(index) for index in range(start, stop)]


def create_loader(
    dataset: Dataset[dict[str, Any]],
    batches: Sampler[list[SliceKey]] | Sequence[list[SliceKey]],
    *,
    num_workers: int,
    pin_memory: bool = False,
) -> DataLoader[dict[str, Any]]:
    """A loader of the given batches. It draws no number from torch's global generator.

    Args:
        dataset: Slices.
        batches: The slices of each batch.
        num_workers: Worker processes; 0 loads in the main process.
        pin_memory: Page-locked batches, for CUDA.
    """
    return DataLoader(
        dataset,
        batch_sampler=batches,
        num_workers=num_workers,
        pin_memory=pin_memory,
        persistent_workers=num_workers > 0,
        worker_init_fn=_start_worker,
        generator=torch.Generator(),  # every new iterator draws a seed for its workers
    )


def _start_worker(_: int) -> None:
    """One thread per worker, the workers are the parallelism; the main process ends them."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    # A signal to the whole process group (Ctrl-C, a scheduler's SIGTERM) asks the main process to
    # save a checkpoint, for which it may still want the batches of its step.
    for name in ("SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):
        # Blocked here, so that neither torch's handler nor the default one ends the worker.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_obey_parent, daemon=True).start()


def _obey_parent() -> None:
    """End on a SIGTERM of the main process, as DataLoader sends it; let others' pass."""
    parent = multiprocessing.parent_process().pid  # getppid is the server's under forkserver
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)
