"""Learning from pseudo labels on disk, in stages; the last ends on the labelled slices alone.

selection random is Semi-Inf-Net's algorithm 1 with its two-step training: `rounds`, a network that
labels K random slices after K, `pretrain`, a new one on all pseudo labels, and the end.

selection reliable labels all slices at once: `teacher`, a network kept thrice on its way,
`reliable`, a new one that learns the half on which the three agree best, `all`, one that learns
all, the other half labelled anew, and the end.

Every stage is a run in a folder of the run's; what it gives to the next is its best.pt, chosen on
val. The end's is the run's.

Sources: D.-P. Fan et al., "Inf-Net", IEEE TMI 39(8), 2020, algorithm 1 and section III-D; L. Yang
et al., "ST++", CVPR 2022.

Deviations: of Semi-Inf-Net none known; ST++ takes mean IoU for the agreement, not Dice, and does
not end on the labelled slices.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from training.builders import build_network
from training.checkpoint import entry, load_checkpoint, load_weights
from training.distributed import World
from training.pool import open_pool, refuse_misfits
from training.procedures.pseudo_trainer import (
    PseudoTrainer,
    RoundsTrainer,
    TeacherTrainer,
    check_lesions,
    snapshot_epochs,
    snapshot_path,
)
from training.procedures.supervised import build_trainer
from training.pseudo_labels import PseudoLabels
from training.run_folder import RunFolder, open_run_folder
from training.runtime import Runtime
from training.trainer import Trainer
from utils.config import Config
from utils.config_loader import restore_config
from utils.errors import UserError

_NEVER = 10**9  # epochs; stages before the last do not stop early
Stage = tuple[RunFolder, Callable[[bool], Trainer]]


def self_training(
    config: Config, folder: RunFolder, resume: bool, runtime: Runtime, world: World
) -> Iterator[Trainer]:
    """The stages from the one that was begun last, or from the first.

    Raises:
        UserError: As build_trainer; settings that do not go together, or an empty pool.
    """
    refuse_misfits(config)
    run = _SelfTraining(config, folder, runtime, world)
    stages = run.stages()
    begun = [i for i, (stage, _) in enumerate(stages) if stage.is_begun()]
    if not begun:
        world.from_main(lambda: open_run_folder(folder, resume, world.job) and None)
        run.labels.remove()
    elif not resume:
        world.from_main(lambda: open_run_folder(stages[begun[-1]][0], resume, world.job) and None)
    for stage, build in stages[begun[-1] if begun else 0 :]:
        if world.is_main:
            print(f"stage {stage.path}", flush=True)
            if begun:
                stage.clear_first_epochs()
        yield build(stage.is_begun())


class _SelfTraining:
    """The stages of a run."""

    def __init__(self, config: Config, folder: RunFolder, runtime: Runtime, world: World) -> None:
        self.config, self.folder, self.runtime, self.world = config, folder, runtime, world
        self.settings = config.semi_supervised
        self.pool = open_pool(config.data, world)
        self.labels = PseudoLabels(folder.path, config, self.pool, runtime, world)
        self._check()

    def stages(self) -> list[Stage]:
        """Folder of every stage, and what builds its trainer, told whether it goes on."""
        if self.settings.selection == "random":
            named = {"rounds": self._rounds, "pretrain": self._pretrain}
        else:
            named = {"teacher": self._teacher, "reliable": self._reliable, "all": self._all}
        stages: list[Stage] = [
            (self._stage(name), partial(build, self._stage(name))) for name, build in named.items()
        ]
        return [*stages, (self.folder, partial(self._end, self.folder, stages[-1][0]))]

    def _check(self) -> None:
        """Refuse settings that do not go together."""
        number, settings = len(self.pool.slices), self.settings
        if settings.selection == "random" and settings.slices_per_round > number:
            raise UserError(
                f"semi_supervised.slices_per_round: {settings.slices_per_round} slices, but the "
                f"pool has {number}; lower it"
            )
        if settings.selection == "reliable" and settings.teacher is not None:
            raise UserError(
                "semi_supervised.teacher: selection reliable compares checkpoints of a teacher of "
                "its own; set it to null, or selection to random"
            )
        if settings.selection == "reliable" and self.config.training.epochs < 3:
            raise UserError(
                "training.epochs: selection reliable compares the teacher at thirds of its epochs; "
                "set 3 or more"
            )
        if settings.teacher is not None:
            self._check_teacher(Path(settings.teacher))

    def _check_teacher(self, path: Path) -> None:
        content = self.world.from_main(lambda: load_checkpoint(path))
        teacher = restore_config(entry(content, "config", dict, path), path)
        for key in ("name", "args"):
            theirs, ours = getattr(teacher.model, key), getattr(self.config.model, key)
            if theirs != ours:
                raise UserError(
                    f"semi_supervised.teacher: {path} is of another network (model.{key} {theirs}, "
                    f"here {ours}); give one of the same, or null"
                )

    def _stage(self, name: str) -> RunFolder:
        return RunFolder(self.folder.path / name)

    def _build(
        self,
        stage: RunFolder,
        go_on: bool,
        epochs: int | None,
        *,
        is_last: bool = False,
        **how: Any,
    ) -> Trainer:
        """A trainer of the run's settings but for the epochs, and without early stopping."""
        training = self.config.training
        changes = {"training": training.model_copy(update={"epochs": epochs or training.epochs})}
        if not is_last:
            stopping = self.config.early_stopping.model_copy(update={"patience": _NEVER})
            changes["early_stopping"] = stopping
        config = self.config.model_copy(update=changes)
        return build_trainer(config, stage, go_on, self.runtime, self.world, **how)

    def _rounds(self, stage: RunFolder, go_on: bool) -> Trainer:
        settings, given = self.settings, self.settings.teacher
        first = 0 if given else self.config.training.epochs
        epochs = first + self._num_rounds() * settings.epochs_per_round
        kind = partial(RoundsTrainer, first_epochs=first, labels=self.labels, number=0)
        prepare = self._load(Path(given)) if given else None
        return self._build(stage, go_on, epochs, kind=kind, prepare=prepare)

    def _num_rounds(self) -> int:
        needed = -(-len(self.pool.slices) // self.settings.slices_per_round)
        return min(needed, self.settings.rounds or needed)

    def _pretrain(self, stage: RunFolder, go_on: bool) -> Trainer:
        return self._student(stage, go_on, self._num_rounds(), with_labelled=False)

    def _teacher(self, stage: RunFolder, go_on: bool) -> Trainer:
        return self._build(stage, go_on, None, kind=TeacherTrainer)

    def _reliable(self, stage: RunFolder, go_on: bool) -> Trainer:
        teacher = self._stage("teacher")
        marks = snapshot_epochs(self.config.training.epochs)
        paths = [teacher.best, *(snapshot_path(teacher, mark) for mark in marks)]
        self.labels.make(1, self.labels.names, self._networks(paths))
        return self._student(stage, go_on, 1, names=self._reliable_half())

    def _all(self, stage: RunFolder, go_on: bool) -> Trainer:
        others = [name for name in self.labels.names if name not in self._reliable_half()]
        self.labels.make(2, others, self._networks([self._stage("reliable").best]))
        return self._student(stage, go_on, 2)

    def _reliable_half(self) -> set[str]:
        rows = sorted(self.labels.rows(1), key=lambda r: (-float(r["reliability"]), r["name"]))
        return {row["name"] for row in rows[: (len(rows) + 1) // 2]}

    def _student(self, stage: RunFolder, go_on: bool, number: int, **options: Any) -> Trainer:
        kind = partial(PseudoTrainer, labels=self.labels, number=number, **options)
        trainer = self._build(stage, go_on, self.settings.student_epochs, kind=kind)
        check_lesions(self.labels, number, trainer.data, self.settings.collapse)
        return trainer

    def _end(self, folder: RunFolder, former: RunFolder, go_on: bool) -> Trainer:
        epochs, prepare = self.settings.fine_tune_epochs, self._load(former.best)
        return self._build(folder, go_on, epochs, prepare=prepare, is_last=True)

    def _load(self, path: Path) -> Callable[[nn.Module], None]:
        """What gives a new network the weights of a checkpoint."""
        content = self.world.from_main(lambda: load_checkpoint(path))
        return lambda network: load_weights(network, entry(content, "model", dict, path), path)

    def _networks(self, paths: list[Path]) -> list[nn.Module]:
        networks = []
        for path in paths:
            network = build_network(self.config)
            self._load(path)(network)
            networks.append(self.runtime.prepare(network))
        return networks
