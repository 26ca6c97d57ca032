"""The record of a run: lines on the terminal, TensorBoard events, run_info.json."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils.data import DataLoader

from figures.cases import case_panels, draw_cases
from metrics.class_meter import selection_dice
from metrics.registry import main_metrics
from training.classes import find_classes
from training.epoch_record import TrainResult
from training.prediction import output_to_prob, predict
from training.run_folder import RunFolder
from training.run_info import describe_run_info
from training.runtime import Runtime
from training.state import TrainingState
from training.tensorboard import Logbook, peak_memory_mib
from utils.cli import close_output
from utils.config import Config
from utils.config_loader import dump_config, flatten, save_config
from utils.files import write_json


class SilentRecorder:
    """Keeps nothing and says nothing: of every process of a job but the main one."""

    @contextmanager
    def open(self, state: TrainingState) -> Iterator[None]:
        """The block in which epochs may be recorded."""
        yield

    def epoch(
        self,
        state: TrainingState,
        trained: TrainResult,
        terms: dict[str, float],
        scores: dict[str, Any],
        learning_rate: float,
    ) -> None:
        """Record an epoch that has just been finished.

        Args:
            state: After the epoch.
            trained: Loss terms, pooled Dice and speed of its steps.
            terms: Mean loss terms of the validation split.
            scores: The meter's summary of it.
            learning_rate: Of the epoch's steps.
        """

    def finish(self, state: TrainingState) -> None:
        """Record what the run came to."""

    def has_finished(self, state: TrainingState) -> bool:
        """Whether the end of the run was recorded; not so where it was killed just before."""
        return True

    def say(self, line: str) -> None:
        """Print a line for the user."""

    def say_result(self, state: TrainingState) -> None:
        """Print the best score, and where the run's files are."""


class Recorder(SilentRecorder):
    """Keeps the record of a run; in a job of several processes, in the main one.

    Args:
        config: The resolved configuration.
        folder: Where the run is kept.
        runtime: Device of the network.
        pictures: Validation cases to draw.
        info: What the run is made with, from training.run_info.
    """

    def __init__(
        self,
        config: Config,
        folder: RunFolder,
        runtime: Runtime,
        pictures: DataLoader[dict[str, Any]],
        info: dict[str, Any],
    ) -> None:
        self.config, self.folder, self.runtime, self.pictures = config, folder, runtime, pictures
        self.info = info

    @contextmanager
    def open(self, state: TrainingState) -> Iterator[None]:
        """Write configuration and run info; TensorBoard's events are open within the block."""
        self.say(describe_run_info(self.info))
        save_config(self.config, self.folder.config)
        self.info["sessions"] = [
            *_former_sessions(self.folder, state),
            {
                "started": self.info["started"],
                "from_epoch": state.epoch,
                "from_step": state.step,
                "git": self.info["git"],
                "hardware": self.info["hardware"],
                "num_processes": self.info["num_processes"],
            },
        ]
        write_json(self.folder.run_info, self.info)
        self.logbook = Logbook(self.folder.tensorboard, first_epoch=state.epoch + 1)
        try:
            self.logbook.write_text("config", dump_config(self.config))
            yield
        finally:
            self.logbook.close()

    def epoch(
        self,
        state: TrainingState,
        trained: TrainResult,
        terms: dict[str, float],
        scores: dict[str, Any],
        learning_rate: float,
    ) -> None:
        """Events, pictures where they are due, and a line for the terminal."""
        groups = {
            "train/loss": {k: v for k, v in trained.terms.items() if "/" not in k},
            "train": {k: v for k, v in trained.terms.items() if "/" in k}  # shares, not losses
            | {"dice_pooled": trained.dice_pooled},
            "val/loss": terms,
            "val": plotted_scores(scores),
            "optimizer": {"learning_rate": learning_rate},
            "speed": {"images_per_second": trained.images_per_second},
            "memory": {"peak_mib": peak_memory_mib(self.runtime.device)},
        }
        if state.scaler.is_enabled():
            groups["optimizer"]["loss_scale"] = state.scaler.get_scale()
        for name, values in class_scores(scores).items():
            groups[f"val/{name}"] = plotted_scores(values)
        for prefix, values in groups.items():
            self.logbook.write_scalars(prefix, values, state.epoch)
        every, last = self.config.logging.image_every, self.config.training.epochs
        if every and (state.epoch % every == 0 or state.epoch in (1, last)):
            self._draw(state)
        self.logbook.flush()
        self.say(
            f"epoch {state.epoch:3d}/{last}  loss {trained.terms['total']:.4f}  "
            f"val loss {terms['total']:.4f}  val Dice {100 * selection_dice(scores):6.2f} %"
            f"{' *' if state.best_epoch == state.epoch else '  '}  lr {learning_rate:.1e}  "
            f"{trained.images_per_second:.1f} images/s{_dice_of_classes(scores)}",
        )

    def finish(self, state: TrainingState) -> None:
        """Write the final score beside the settings, and what the run came to."""
        settings = flatten(self.config.model_dump(mode="json"))
        best = plotted_scores(state.best_scores)
        for name, values in class_scores(state.best_scores).items():
            best |= {f"{name}/{key}": value for key, value in plotted_scores(values).items()}
        self.logbook.write_score(settings, best)
        self.info |= {
            "epochs": state.epoch,
            "best_epoch": state.best_epoch,
            "best_scores": state.best_scores,
            "train_seconds": round(state.seconds, 1),
        }
        write_json(self.folder.run_info, self.info)
        self.say_result(state)

    def has_finished(self, state: TrainingState) -> bool:
        """As run_info.json says."""
        try:
            return json.loads(self.folder.run_info.read_text("utf-8"))["epochs"] == state.epoch
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def say(self, line: str) -> None:
        """Print a line for the user; training goes on where nobody can read it."""
        try:
            print(line, flush=True)
        except OSError as error:  # a closed pipe (head), a full disk
            close_output()
            print(
                f"warning: no more is printed ({error.strerror}); training goes on, see "
                f"{self.folder.tensorboard}",
                file=sys.stderr,
            )

    def say_result(self, state: TrainingState) -> None:
        """Print the best score, and where the run's files are."""
        mean = ", pooled, mean of the classes," if class_scores(state.best_scores) else ""
        self.say(
            f"best validation Dice{mean} {100 * state.stopping.best:.2f} % in epoch "
            f"{state.best_epoch} of {state.epoch}\n"
            f"checkpoint   {self.folder.best}\nTensorBoard  {self.folder.tensorboard}"
        )

    @torch.no_grad()
    def _draw(self, state: TrainingState) -> None:
        """Write pictures of the fixed validation cases."""
        batches = predict(state.evaluated, self.pictures, self.runtime, with_maps=True)
        stages = getattr(state.evaluated, "side_outputs", None)
        with torch.compiler.set_stance("force_eager"):  # another graph is not worth its compilation
            for batch, output in batches:
                count = len(batch["name"])
                shown, names = output_to_prob(output), list(find_classes(self.config.data))
                classes = output.mask.argmax(dim=1) if names else None
                rows = [case_panels(batch, shown, i, stages, classes) for i in range(count)]
                figure = draw_cases(batch["name"], rows, names)
                self.logbook.write_figure("val/cases", figure, state.epoch)


def _former_sessions(folder: RunFolder, state: TrainingState) -> list[dict[str, Any]]:
    """What an earlier start of the same run noted; nothing for a new run or an unreadable note."""
    if not (state.epoch or state.step):
        return []
    try:
        return json.loads(folder.run_info.read_text(encoding="utf-8"))["sessions"]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def plotted_scores(scores: dict[str, Any]) -> dict[str, float]:
    """The scores that TensorBoard plots and the HParams tab lists."""
    keys = (*main_metrics(), "dice_pooled", "dice_nonempty")
    return {key: scores[key] for key in (*keys, *({"lung_dice"} & scores.keys()))}


def class_scores(scores: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The scores of every class by its name, and their mean; {} without classes."""
    if "classes" not in scores:
        return {}
    return {"class_mean": scores["class_mean"]} | scores["classes"]


def _dice_of_classes(scores: dict[str, Any]) -> str:
    """The end of an epoch's line; '' without classes."""
    if "classes" not in scores:
        return ""
    dice = {name: own["dice_pooled"] for name, own in scores["classes"].items()}
    dice["any lesion"] = scores["dice_pooled"]
    told = ", ".join(f"{name} {100 * value:.1f}" for name, value in dice.items())
    return f"  (pooled: {told})"
