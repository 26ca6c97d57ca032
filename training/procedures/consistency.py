"""Mean teacher and FixMatch: every step learns from labelled and from unlabelled slices.

The teacher is the moving average of the weights (training.ema_decay), which is also what is
validated and kept.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from training.consistency import ConsistencyStep
from training.data import TrainingData, build_training_loader
from training.distributed import World
from training.epoch_record import TrainResult
from training.pool import MixedBatches, WithPool, open_pool, refuse_misfits, without_labels
from training.procedures.supervised import build_trainer
from training.run_folder import RunFolder
from training.runtime import Runtime
from training.step import TrainingStep
from training.trainer import Trainer
from utils.config import Config
from utils.errors import UserError

Procedure = Callable[[Config, RunFolder, bool, Runtime, World], Iterator[Trainer]]


def mean_teacher(
    config: Config, folder: RunFolder, resume: bool, runtime: Runtime, world: World
) -> Iterator[Trainer]:
    """The student's probabilities on a changed view are to be the teacher's.

    Source: A. Tarvainen and H. Valpola, NeurIPS 2017. Deviation: the teacher predicts in evaluation
    mode, on the slice without noise.
    """
    yield from _consistency(config, folder, resume, runtime, world, is_hard=False)


def fixmatch(
    config: Config, folder: RunFolder, resume: bool, runtime: Runtime, world: World
) -> Iterator[Trainer]:
    """The student on a strong view learns what the teacher is sure of on the weak one.

    Source: K. Sohn et al., NeurIPS 2020, with CutMix of two strong views. Deviation: a moving
    average labels, by two thresholds, as lesion is rare.
    """
    yield from _consistency(config, folder, resume, runtime, world, is_hard=True)


def _consistency(
    config: Config,
    folder: RunFolder,
    resume: bool,
    runtime: Runtime,
    world: World,
    *,
    is_hard: bool,
) -> Iterator[Trainer]:
    refuse_misfits(config)
    training, procedure = config.training, config.training.procedure
    if training.ema_decay is None:
        raise UserError(
            f"training.ema_decay: the moving average is the teacher of {procedure}; set it, to "
            "0.99 for a short run"
        )
    if training.accumulation_steps > 1:
        raise UserError(f"training.accumulation_steps: {procedure} makes steps in one piece; set 1")
    share = 2 * world.size if is_hard else world.size
    if config.semi_supervised.batch_size % share:
        raise UserError(
            f"semi_supervised.batch_size: {config.semi_supervised.batch_size} slices cannot be "
            f"dealt out {'in pairs ' * is_hard}to {world.size} processes; take a multiple of "
            f"{share}"
        )
    kind = partial(ConsistencyTrainer, is_hard=is_hard)
    yield build_trainer(config, folder, resume, runtime, world, kind=kind)


class ConsistencyTrainer(Trainer):
    """Fits a network to labelled slices and to those of the pool at once.

    Args:
        config: See Trainer.
        state: See Trainer; with a moving average.
        loss: See Trainer.
        data: See Trainer; its training batches are replaced.
        runtime: See Trainer.
        *others: See Trainer.
        is_hard: See ConsistencyStep.
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
        is_hard: bool,
    ) -> None:
        self.is_hard = is_hard
        pool = without_labels(open_pool(config.data, world), data.dataset)
        wanted = config.semi_supervised.batch_size
        if wanted > len(pool):
            raise UserError(
                f"semi_supervised.batch_size: {wanted} slices, but the pool has {len(pool)}; "
                "lower it"
            )
        joined = WithPool(data.dataset, pool)
        batches = MixedBatches(
            (len(data.dataset), len(pool)),
            (config.training.batch_size, wanted),
            config.training.seed,
            rank=world.rank,
            world_size=world.size,
        )
        train = build_training_loader(config.data, joined, batches, runtime)
        data = data._replace(train=train, batches=batches)
        super().__init__(config, state, loss, data, runtime, folder, world, recorder)
        recorder.say(f"unlabelled: {len(pool)} slices; {batches.num_steps} steps an epoch")

    def create_step(self, kind: type[TrainingStep], **others: Any) -> TrainingStep:
        """See Trainer."""
        state, settings = self.state, self.config.semi_supervised
        return super().create_step(
            ConsistencyStep,
            settings=settings,
            is_hard=self.is_hard,
            position=lambda: state.epoch + state.step / self.data.batches.num_steps,
        )

    def end_epoch(self, trained: TrainResult) -> None:
        """Stop where the teacher finds no lesion any more."""
        settings, epoch = self.config.semi_supervised, self.state.epoch + 1
        if epoch > settings.ramp_up:
            found, known = (trained.terms[f"pool/{k}"] for k in ("lesion", "labelled_lesion"))
            refuse_collapse(found, known, settings.collapse, f"epoch {epoch}: the teacher")


def refuse_collapse(found: float, known: float, least: float, who: str) -> None:
    """Stop where nearly all of the pool is told to be background.

    Args:
        found: Share of lesion px in the pool.
        known: Share of lesion px in labelled slices.
        least: Fraction of `known` that `found` must reach.
        who: Has found it, for the message.

    Raises:
        UserError: It does not.
    """
    if found < least * known:
        raise UserError(
            f"{who} has collapsed to background: lesion on {found:.3%} of the pool's px, on "
            f"{known:.3%} of the labelled ones; train longer on labels, raise "
            "semi_supervised.ramp_up, lower its weight or lesion_threshold, or set its collapse to "
            "0 to go on"
        )
