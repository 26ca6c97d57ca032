"""A run: epochs of training and validation, kept so that it can go on from any moment."""

import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from torch import nn

from metrics import ClassMeter, Meter, selection_dice
from training.classes import find_classes
from training.data import TrainingData
from training.distributed import World
from training.engine import evaluate, train_one_epoch
from training.epoch_record import TrainResult
from training.interruption import StopRequest
from training.random_state import random_state, restore_random_state, seed_everything
from training.recorder import SilentRecorder
from training.run_folder import RunFolder
from training.runtime import Runtime
from training.scales import scaled_sizes
from training.state import TrainingState
from training.step import TrainingStep
from utils.config import Config
from utils.contracts import Batch
from utils.errors import Interrupted, explain
from utils.progress import Progress

T = TypeVar("T")
M = TypeVar("M", Meter, ClassMeter)


class Trainer:
    """Fits a network; every process of a job runs one, and the main one writes.

    Args:
        config: The resolved configuration.
        state: Network, optimizer and all that changes; fresh or restored.
        loss: Named terms with their total.
        data: Loaders.
        runtime: Device, precision, memory format.
        folder: Where the run is kept.
        world: The processes of the job.
        recorder: Says how it goes; a SilentRecorder in all processes but the main one.
    """

    def __init__(
        self,
        config: Config,
        state: TrainingState,
        loss: nn.Module,
        data: TrainingData,
        runtime: Runtime,
        folder: RunFolder,
        world: World,
        recorder: SilentRecorder,
    ) -> None:
        self.config, self.state, self.loss, self.data = config, state, loss, data
        self.runtime, self.folder, self.world, self.recorder = runtime, folder, world, recorder
        self.saved = (state.epoch, state.step) if state.epoch or state.step else None
        self.step = self.create_step(TrainingStep)

    def create_step(self, kind: type[TrainingStep], **others: Any) -> TrainingStep:
        """What makes an optimizer step, of a kind with further arguments."""
        training, size = self.config.training, self.config.data.image_size
        return kind(
            self.state,
            self.loss,
            self.runtime,
            world=self.world,
            num_parts=training.accumulation_steps,
            gradient_clip=training.gradient_clip,
            clip_by=training.gradient_clip_by,
            sizes=scaled_sizes(size, training.scales, self.state.model),
            **others,
        )

    def begin_epoch(self) -> None:
        """Called before the batches of an epoch, also of one that goes on; for procedures."""

    def end_epoch(self, trained: TrainResult) -> None:
        """Called between the steps of an epoch and its validation; for procedures."""

    @property
    def is_finished(self) -> bool:
        """Whether the last epoch, or the end of early stopping's patience, is reached."""
        state = self.state
        return state.epoch >= self.config.training.epochs or state.stopping.should_stop

    def run(self) -> None:
        """Fit the network; a finished run stays as it is.

        Raises:
            UserError: A loss that is not finite, or a file that cannot be written.
            MachineError: A process or the memory was lost.
            Interrupted: Ctrl-C or SIGTERM, after the run was saved.
        """
        state, recorder = self.state, self.recorder
        if self.is_finished and recorder.has_finished(state):
            recorder.say(f"{self.folder.path}: finished before; a larger training.epochs goes on")
            recorder.say_result(state)
            return
        with self._kept_whatever_happens(), recorder.open(state):
            while not self.is_finished:
                learning_rate = state.learning_rate
                self.begin_epoch()
                batches = self._batches_left()
                train_one_epoch(self.step, batches, state.record, batches, self._after_step)
                trained = state.record.over_processes(self.world).result()
                self.end_epoch(trained)
                terms, scores = self._validate()
                state.finish_epoch(terms["total"])
                improved = state.stopping.update(selection_dice(scores))
                if improved:
                    state.best_epoch, state.best_scores = state.epoch, scores
                    self._save_best()
                try:
                    # Before last.pt: after a kill between the two, the epoch is recorded again.
                    recorder.epoch(state, trained, terms, scores, learning_rate)
                finally:  # a full disk of the events must not cost the epoch
                    self._save_last()
                self._stop_if_asked()
            recorder.finish(state)

    def _batches_left(self) -> Progress[Batch]:
        """The batches that are left in the epoch, behind a bar, and the generators set for them."""
        state, epoch = self.state, self.state.epoch + 1
        self.data.batches.set_epoch(epoch, first_step=state.step)
        # Seeded per epoch and process: a resumed run draws the numbers of an uninterrupted one.
        seed_everything(self.config.training.seed * 1_000_003 + epoch + 2**40 * self.world.rank)
        if state.random is not None and len(state.random) == self.world.size:
            restore_random_state(state.random[self.world.rank])
        state.random = None
        return Progress(self.data.train, f"epoch {epoch}/{self.config.training.epochs}")

    def _after_step(self) -> None:
        """Count the step; keep the run where that is due or asked for."""
        self.state.step += 1
        every = self.config.checkpoint.every_steps
        if every is not None and self.state.step % every == 0:
            self._save_last()
        self._stop_if_asked()

    def _validate(self) -> tuple[dict[str, float], dict[str, Any]]:
        """Mean loss terms and the meters' summary over the validation split.

        With lung_dice, where the loss trains a lung head and slices have lung masks.
        """
        model = self.state.evaluated
        self.world.share_buffers(model)
        meter, classes, lungs = self._meter(), self._class_meter(), self._meter()
        batches = self._stopping_between(Progress(self.data.val, "validation"))
        scored = lungs if "lung" in self.loss.required_heads else None
        averages = evaluate(model, batches, self.runtime, meter, self.loss, classes, scored)
        scores = self._over_processes(meter, self._meter()).summary()
        if classes is not None:
            scores |= self._over_processes(classes, self._class_meter()).summary()
        if (whole := self._over_processes(lungs, self._meter())).rows:
            scores["lung_dice"] = whole.summary()["dice"]
        return averages.over_processes(self.world).means(), scores

    def _meter(self) -> Meter:
        evaluation = self.config.evaluation
        return Meter(empty_target=evaluation.empty_target, threshold=evaluation.threshold)

    def _class_meter(self) -> ClassMeter | None:
        """Of every class against the rest, where there are several."""
        meters = {name: self._meter() for name in find_classes(self.config.data)}
        return ClassMeter(meters) if meters else None

    def _over_processes(self, meter: M, whole: M) -> M:
        """The cases of all processes, in a new meter of the same kind."""
        for rows in self.world.gather(meter.rows):
            whole.add_rows(rows)
        return whole

    def _stopping_between(self, batches: Iterable[T]) -> Iterator[T]:
        """The batches, with a look between two whether a lone process is asked to stop."""
        for batch in batches:
            if self.world.size == 1:
                self._stop_if_asked()
            yield batch

    def _stop_if_asked(self) -> None:
        """Keep the run and leave, if a process of the job was asked to."""
        if not self.world.any(self.stop.is_made):
            return
        self._save_last()
        number = max(n or 0 for n in self.world.gather(self.stop.signal_number))
        raise Interrupted(number, f"stopped by {signal.Signals(number).name}")

    @contextmanager
    def _kept_whatever_happens(self) -> Iterator[None]:
        """Signals become requests to stop; an error comes with what the run has kept."""
        self.started = time.perf_counter() - self.state.seconds
        try:
            with StopRequest(self.world.size > 1, self.world.is_main) as self.stop:
                yield
        except BaseException as error:
            self.recorder.say(f"\nended in epoch {self.state.epoch + 1}; {self.kept()}")
            explanation = explain(error, self.folder.path, self.world.size)
            if explanation is error:
                raise
            raise explanation from error

    def kept(self) -> str:
        """What an interruption leaves behind, in words."""
        if self.saved is None:
            return "nothing was saved yet; start again"
        epoch, step = self.saved
        steps = f" and {step} steps of the next" if step else ""
        return f"{self.folder.last} holds epoch {epoch}{steps}; go on with --resume"

    def _save_best(self) -> None:
        """Write best.pt: the network as it was validated."""
        if self.world.is_main:
            self.state.save_best(self.folder.best, self.config)

    def _save_last(self) -> None:
        """Write last.pt: everything as it is between two steps."""
        state = self.state
        state.seconds = time.perf_counter() - self.started
        merged = state.record.over_processes(self.world)
        state.random = self.world.gather(random_state()) if state.step else None
        if self.world.is_main:
            kept, state.record = state.record, merged
            state.save_last(self.folder.last, self.config)
            state.record = kept
        self.saved = state.epoch, state.step
