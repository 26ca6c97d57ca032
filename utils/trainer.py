"""A run: epochs of training and validation, kept and recorded."""

import time
from typing import Any

import torch
from torch import nn

from metrics import Meter
from utils.builders import TrainingData
from utils.config import Config
from utils.config_loader import dump_config, flatten, save_config
from utils.engine import TrainResult, evaluate, predict, train_one_epoch
from utils.figures import case_panels, draw_cases
from utils.logbook import Logbook, peak_memory_mib
from utils.progress import Progress
from utils.run_folder import RunFolder
from utils.run_info import collect_run_info, describe_run_info, write_json
from utils.runtime import Runtime, seed_everything
from utils.training_state import TrainingState

# The scores that TensorBoard plots and the HParams tab lists.
_SCORES = (
    "dice",
    "sensitivity",
    "precision",
    "mae",
    "e_measure_mean",
    "s_measure",
    "dice_pooled",
    "dice_nonempty",
)


class Trainer:
    """Fits a network and keeps the record.

    Args:
        config: The resolved configuration.
        state: Network, optimizer, scheduler, early stopping; fresh or restored.
        loss: Named terms with their total.
        data: Loaders.
        runtime: Device, precision, memory format.
        folder: Where the run is kept.
    """

    def __init__(
        self,
        config: Config,
        state: TrainingState,
        loss: nn.Module,
        data: TrainingData,
        runtime: Runtime,
        folder: RunFolder,
    ) -> None:
        self.config, self.state, self.loss = config, state, loss
        self.data, self.runtime, self.folder = data, runtime, folder
        self.saved_epoch = state.epoch

    def kept(self) -> str:
        """What an interruption leaves behind, in words."""
        if not self.saved_epoch:
            return "no epoch was finished"
        return f"{self.folder.last} holds epoch {self.saved_epoch}"

    @property
    def is_finished(self) -> bool:
        """Whether the last epoch, or the end of early stopping's patience, is reached."""
        state = self.state
        return state.epoch >= self.config.training.epochs or state.stopping.should_stop

    def run(self) -> None:
        """Fit the network and keep the record; a finished run stays as it is."""
        if self.is_finished:
            print(f"{self.folder.path}: finished before; a larger training.epochs goes on")
        else:
            self.fit_and_record()
        print(
            f"best validation Dice {100 * self.state.stopping.best:.2f} % in epoch "
            f"{self.state.best_epoch} of {self.state.epoch}\n"
            f"checkpoint   {self.folder.best}\nTensorBoard  {self.folder.tensorboard}"
        )

    def fit_and_record(self) -> None:
        """Fit the network; write configuration, run info, TensorBoard events and checkpoints."""
        info = collect_run_info(self.state.model, self.runtime)
        print(describe_run_info(info))
        save_config(self.config, self.folder.config)
        write_json(self.folder.run_info, info)
        self.logbook = Logbook(self.folder.tensorboard, first_epoch=self.state.epoch + 1)
        self.logbook.write_text("config", dump_config(self.config))
        start = time.perf_counter()
        try:
            self.fit()
            settings = flatten(self.config.model_dump(mode="json"))
            self.logbook.write_score(settings, _plotted(self.state.best_scores))
        finally:
            self.logbook.close()
        info |= {
            "epochs": self.state.epoch,
            "best_epoch": self.state.best_epoch,
            "best_scores": self.state.best_scores,
            "train_seconds": round(time.perf_counter() - start, 1),
        }
        write_json(self.folder.run_info, info)

    def fit(self) -> None:
        """Epoch by epoch, until the last one or early stopping."""
        state, num_epochs = self.state, self.config.training.epochs
        while not self.is_finished:
            state.epoch += 1
            # Seeded per epoch: a resumed run draws the numbers of an uninterrupted one.
            seed_everything(self.config.training.seed * 1_000_003 + state.epoch)
            learning_rate = state.learning_rate
            trained = self.train()
            terms, scores = self.validate()
            improved = state.note(terms["total"], scores)
            if improved:
                state.save_best(self.folder.best, self.config)
            state.save_last(self.folder.last, self.config)
            self.saved_epoch = state.epoch
            self.record(trained, terms, scores, learning_rate)
            print(
                f"epoch {state.epoch:3d}/{num_epochs}  loss {trained.terms['total']:.4f}  "
                f"val loss {terms['total']:.4f}  val Dice {100 * scores['dice']:6.2f} %"
                f"{' *' if improved else '  '}  lr {learning_rate:.1e}  "
                f"{trained.images_per_second:.1f} images/s",
                flush=True,
            )

    def train(self) -> TrainResult:
        """One epoch of training."""
        self.data.sampler.set_epoch(self.state.epoch)
        bar = Progress(self.data.train, f"epoch {self.state.epoch}/{self.config.training.epochs}")
        return train_one_epoch(
            self.state.model,
            self.loss,
            bar,
            self.state.optimizer,
            self.runtime,
            self.config.training.gradient_clip,
            bar,
        )

    def validate(self) -> tuple[dict[str, float], dict[str, Any]]:
        """Mean loss terms and the meter's summary over the validation split."""
        evaluation = self.config.evaluation
        meter = Meter(empty_target=evaluation.empty_target, threshold=evaluation.threshold)
        bar = Progress(self.data.val, "validation")
        terms = evaluate(self.state.model, bar, self.runtime, meter, self.loss)
        return terms, meter.summary()

    def record(
        self,
        trained: TrainResult,
        terms: dict[str, float],
        scores: dict[str, Any],
        learning_rate: float,
    ) -> None:
        """Tell TensorBoard about an epoch."""
        epoch, every = self.state.epoch, self.config.logging.image_every
        groups = {
            "train/loss": trained.terms,
            "train": {"dice_pooled": trained.dice_pooled},
            "val/loss": terms,
            "val": _plotted(scores),
            "optimizer": {"learning_rate": learning_rate},
            "speed": {"images_per_second": trained.images_per_second},
            "memory": {"peak_mib": peak_memory_mib(self.runtime.device)},
        }
        for prefix, values in groups.items():
            self.logbook.write_scalars(prefix, values, epoch)
        if every and (epoch % every == 0 or epoch in (1, self.config.training.epochs)):
            self.draw(epoch)

    @torch.no_grad()
    def draw(self, epoch: int) -> None:
        """Write pictures of the fixed validation cases."""
        for batch, output in predict(
            self.state.model, self.data.pictures, self.runtime, with_maps=True
        ):
            rows = [case_panels(batch, output, i) for i in range(len(batch["name"]))]
            self.logbook.write_figure("val/cases", draw_cases(batch["name"], rows), epoch)


def _plotted(scores: dict[str, Any]) -> dict[str, float]:
    """The scores that are plotted."""
    return {name: scores[name] for name in _SCORES}
