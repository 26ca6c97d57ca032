"""Pseudo labels as files to look at: made round by round, scored where the truth is known.

<run>/pseudo_labels/round001/ holds mask/NAME.png (see training.pseudo_files), labels.csv (a
row per slice) and montage.png (CT, pseudo label and, where it is known, the truth), and appears
whole or not at all; labels.csv beside the rounds has the rows of all, tensorboard/ their curves.
"""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from datasets.batches import SliceKey, create_loader
from datasets.image_io import read_gray, write_png
from datasets.pairing import HIDDEN, images_by_stem
from training.certainty import decide
from training.data import build_dataset
from training.distributed import World
from training.prediction import (
    boxes_of,
    check_prediction,
    lesion_prob,
    logits_to_prob,
    resize_probs,
)
from training.pseudo_files import to_grey
from training.pseudo_montage import draw_tiles
from training.runtime import Runtime
from training.split import Split
from training.tensorboard import Logbook
from utils.config import Config
from utils.files import read_rows, whole_folder, write_rows

FOLDER, TABLE = "pseudo_labels", "labels.csv"
_FLIPS = ((), (2,), (3,), (2, 3))
_MOST_SHOWN = 8  # slices of a montage
_CURVES = ("confidence", "kept", "lesion_share", "reliability", "dice")


class _Labelled(NamedTuple):
    """A slice of the pool, its probabilities (K, H, W), and mean Dice with earlier networks."""

    index: int
    image: np.ndarray
    prob: Tensor
    reliability: float | None

    def lesion(self) -> np.ndarray:
        """(H, W) probability of lesion, of any class."""
        return lesion_prob(self.prob[None])[0, 0].numpy()


class PseudoLabels:
    """The pseudo labels of a run; every process of a job has one, and the main one writes.

    Args:
        folder: Of the run, which all processes of a job must see.
        config: Of the run.
        pool: The slices without labels.
        runtime: Device, precision, memory format.
        world: The processes of the job.
    """

    def __init__(
        self, folder: Path, config: Config, pool: Split, runtime: Runtime, world: World
    ) -> None:
        self.folder, self.config, self.pool = folder / FOLDER, config, pool
        self.runtime, self.world = runtime, world
        self.names = [entry.name for entry in pool.slices]
        self._dataset = build_dataset(config.data, pool, augment=False)

    def make(self, number: int, names: Sequence[str], networks: Sequence[nn.Module]) -> None:
        """Label slices in a round, unless the round is there already.

        Args:
            number: Of the round, from 1.
            names: Of the slices.
            networks: The one that labels; earlier ones of the same training, whose agreement with
                it is the reliability of a label.

        Raises:
            UserError: A file cannot be read or written.
        """
        self.world.from_main(lambda: self._make(number, names, networks))

    def rows(self, number: int) -> list[dict[str, str]]:
        """The table of a round."""
        return read_rows(self._round(number) / TABLE)

    def maps(self, last: int) -> dict[str, Path]:
        """File of the newest pseudo label of every slice that the rounds up to a last one label."""
        return {
            row["name"]: self._round(number) / "mask" / f"{row['name']}.png"
            for number in range(1, last + 1)
            for row in self.rows(number)
        }

    def lesion_share(self, last: int) -> float:
        """Mean share of lesion px in the rounds up to a last one."""
        shares = {
            r["name"]: float(r["lesion_share"]) for n in range(last) for r in self.rows(n + 1)
        }
        return sum(shares.values()) / len(shares)

    def remove(self) -> None:
        """Delete all rounds: of a run of which nothing else was kept."""
        if self.world.is_main:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.world.barrier()

    def _round(self, number: int) -> Path:
        return self.folder / f"round{number:03d}"

    def _make(self, number: int, names: Sequence[str], networks: Sequence[nn.Module]) -> None:
        """In the main process."""
        folder = self._round(number)
        for draft in self.folder.glob(f".{folder.name}.*"):
            shutil.rmtree(draft, ignore_errors=True)  # of a process that was killed
        if not (folder / TABLE).is_file():
            truths = images_by_stem(Path(self.config.data.root) / HIDDEN / "mask")
            wanted = set(names)
            indices = [i for i, name in enumerate(self.names) if name in wanted]
            shown = set(indices[:: -(-len(indices) // _MOST_SHOWN)])
            rows, tiles = [], []
            with whole_folder(folder) as draft:
                (draft / "mask").mkdir()
                for item in self._label(networks, indices):
                    name = self.names[item.index]
                    settings = self.config.semi_supervised
                    write_png(draft / "mask" / f"{name}.png", to_grey(item.prob, settings))
                    truth = read_gray(truths[name]) > 0 if name in truths else None
                    rows.append(self._row(number, item, truth))
                    if item.index in shown:
                        tiles.append(draw_tiles(item.image, item.lesion(), truth, name))
                write_rows(draft / TABLE, rows)
                montage = np.vstack(tiles)
                write_png(draft / "montage.png", montage)
                self._record(number, rows, montage)
        rounds = sorted(self.folder.glob("round*"))
        write_rows(self.folder / TABLE, [row for f in rounds for row in read_rows(f / TABLE)])

    @torch.no_grad()
    def _label(self, networks: Sequence[nn.Module], indices: Sequence[int]) -> Iterator[_Labelled]:
        for network in networks:
            network.eval()
        size = self.config.evaluation.batch_size
        starts = range(0, len(indices), size)
        batches = [[SliceKey(i) for i in indices[start : start + size]] for start in starts]
        loader = create_loader(self._dataset, batches, num_workers=0)
        for keys, batch in zip(batches, loader, strict=True):
            images = self.runtime.move(batch)["image"]
            probs = [self._prob(network, images) for network in networks]
            for place, (key, box) in enumerate(zip(keys, boxes_of(batch), strict=True)):
                image = self._dataset.original(key.index)[0]
                own, *earlier = (prob[place].cpu() for prob in probs)
                agreement = [_agreement(own, other) for other in earlier]
                prob = resize_probs(own, image.shape, box)
                check_prediction(prob.numpy(), self.names[key.index])
                reliability = sum(agreement) / len(agreement) if agreement else None
                yield _Labelled(key.index, image, prob, reliability)

    def _prob(self, network: nn.Module, images: Tensor) -> Tensor:
        """Probabilities (B, K, H, W), the mean over flips where they are asked for."""
        flips = _FLIPS if self.config.semi_supervised.flips else _FLIPS[:1]
        total = 0.0
        for dims in flips:
            with self.runtime.autocast():
                prob = logits_to_prob(network(images.flip(dims)).mask)
            total = total + prob.flip(dims)
        return total / len(flips)

    def _row(self, number: int, item: _Labelled, truth: np.ndarray | None) -> dict[str, Any]:
        label, kept = decide(item.prob[None], self.config.semi_supervised)
        has_lesion = (label > 0)[0, 0].numpy()
        background = 1 - item.prob if len(item.prob) == 1 else item.prob[:1]
        highest = torch.cat([item.prob, background]).amax(0)
        return {
            "round": number,
            "name": self.names[item.index],
            "patient": self.pool.slices[item.index].patient,
            "confidence": _rounded(highest.numpy().mean()),
            "kept": _rounded(kept.numpy().mean()),
            "lesion_share": _rounded(has_lesion.mean()),
            "reliability": _rounded(item.reliability),
            "dice": _rounded(None if truth is None else _dice(has_lesion, truth)),
        }

    def _record(self, number: int, rows: Sequence[dict[str, Any]], montage: np.ndarray) -> None:
        """A point of every curve, and the montage, for TensorBoard."""
        values = {key: [row[key] for row in rows if row[key] != ""] for key in _CURVES}
        means = {key: sum(own) / len(own) for key, own in values.items() if own}
        logbook = Logbook(self.folder / "tensorboard", first_epoch=number)
        try:
            logbook.write_scalars(FOLDER, means | {"slices": len(rows)}, number)
            logbook.write_image(f"{FOLDER}/montage", montage[..., None], number)
        finally:
            logbook.close()


def _agreement(own: Tensor, other: Tensor) -> float:
    """Mean Dice of the classes, or that of lesion, of probabilities (K, H, W)."""
    if len(own) == 1:
        return _dice(own[0].numpy() >= 0.5, other[0].numpy() >= 0.5)
    labels = own.argmax(0).numpy(), other.argmax(0).numpy()
    values = [_dice(*(label == k for label in labels)) for k in range(1, len(own))]
    return sum(values) / len(values)


def _dice(one: np.ndarray, other: np.ndarray) -> float:
    """Of two masks; 1 where both are blank."""
    total = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / total if total else 1.0


def _rounded(value: float | None) -> float | str:
    return "" if value is None else round(float(value), 6)
