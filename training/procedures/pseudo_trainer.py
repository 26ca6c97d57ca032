"""Trainers on pseudo labels: fixed ones, ones that come round by round, and their teacher."""

from typing import Any

import numpy as np

from datasets.batches import SeededBatches
from training.data import TrainingData, build_training_loader
from training.distributed import World
from training.pool import WithPool, without_labels
from training.procedures.consistency import refuse_collapse
from training.pseudo_batches import ConfidentLoss, SettledBatches
from training.pseudo_labels import PseudoLabels
from training.run_folder import RunFolder
from training.runtime import Runtime
from training.trainer import Trainer
from utils.config import Config


class PseudoTrainer(Trainer):
    """Fits a network to the pseudo labels of a run, beside the labelled slices or alone.

    Args:
        config: See Trainer.
        state: See Trainer.
        loss: See Trainer; of the px that count.
        data: See Trainer; its training batches are replaced.
        *others: See Trainer.
        labels: The pseudo labels.
        number: Of the last round whose labels are taken; 0 is none.
        names: Of the slices whose labels are taken; None takes all.
        with_labelled: Whether the labelled slices are among the batches.
    """

    def __init__(
        self,
        config: Config,
        state: Any,
        loss: Any,
        data: TrainingData,
        runtime: Runtime,
        folder: RunFolder,
        world: World,
        recorder: Any,
        *,
        labels: PseudoLabels,
        number: int,
        names: set[str] | None = None,
        with_labelled: bool = True,
    ) -> None:
        super().__init__(config, state, ConfidentLoss(loss), data, runtime, folder, world, recorder)
        self.labels, self.names, self.with_labelled = labels, names, with_labelled
        self.number = 0
        self.take(number)

    def take(self, number: int) -> None:
        """Train on the labels of the rounds up to this one."""
        if number == self.number:
            return
        self.number, config = number, self.config
        maps = self.labels.maps(number)
        pool = without_labels(self.labels.pool, self.data.dataset, maps)
        labelled = self.data.dataset if self.with_labelled else None
        joined = WithPool(labelled, pool, maps.keys() if self.names is None else self.names)
        batches = SeededBatches(
            len(joined),
            config.training.batch_size,
            config.training.seed,
            rank=self.world.rank,
            world_size=self.world.size,
        )
        loader = build_training_loader(config.data, joined, batches, self.runtime)
        train = SettledBatches(loader, config.semi_supervised, config.data.edge_width)
        self.data = self.data._replace(train=train, batches=batches)
        self.recorder.say(
            f"{len(joined.chosen)} pseudo labels up to round {number}: {self.labels.folder}"
        )


class RoundsTrainer(PseudoTrainer):
    """Algorithm 1: fits a network to labelled slices, then to more pseudo labels round by round.

    Args:
        *others: See Trainer.
        first_epochs: On the labelled slices alone.
        **options: See PseudoTrainer.
    """

    def __init__(self, *others: Any, first_epochs: int, **options: Any) -> None:
        super().__init__(*others, **options)
        self.first_epochs = first_epochs
        order = np.random.default_rng(self.config.training.seed).permutation(self.labels.names)
        size = self.config.semi_supervised.slices_per_round
        self.draws = [order[start : start + size] for start in range(0, len(order), size)]

    def begin_epoch(self) -> None:
        """Label the slices of the epoch's round with the network as it is."""
        done = self.state.epoch - self.first_epochs
        if done < 0:
            return
        number = 1 + done // self.config.semi_supervised.epochs_per_round
        self.labels.make(number, self.draws[number - 1].tolist(), [self.state.evaluated])
        self.take(number)


class TeacherTrainer(Trainer):
    """Fits a network and keeps it as it is at a third and two thirds of its epochs."""

    def begin_epoch(self) -> None:
        """Keep the network where it is due."""
        marks = snapshot_epochs(self.config.training.epochs)
        if self.state.epoch in marks and self.state.step == 0 and self.world.is_main:
            path = snapshot_path(self.folder, self.state.epoch)
            self.state.save_best(path, self.config)


def snapshot_epochs(epochs: int) -> list[int]:
    """After how many epochs a teacher is kept."""
    return sorted({epochs // 3, 2 * epochs // 3} - {0})


def snapshot_path(folder: RunFolder, epoch: int) -> Any:
    """Where a teacher is kept."""
    return folder.path / f"epoch{epoch}.pt"


def check_lesions(labels: PseudoLabels, number: int, data: TrainingData, least: float) -> None:
    """Refuse pseudo labels that show next to no lesion.

    Raises:
        UserError: See refuse_collapse.
    """
    masks = [data.dataset.original(i)[1].mean() for i in range(len(data.dataset))]
    known = sum(masks) / len(masks)
    refuse_collapse(labels.lesion_share(number), known, least, "labelling")
