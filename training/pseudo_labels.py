"""Pseudo labels as files to look at: made round by round, scored where the truth is known.

<run>/pseudo_labels/round001/ holds mask/NAME.png (probability of lesion in 255ths), labels.csv (a
row per slice) and montage.png (CT, pseudo label and, where it is known, the truth), and appears
whole or not at all; labels.csv beside the rounds has the rows of all, tensorboard/ their curves.
"""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from datasets.batches import SliceKey, create_loader
from datasets.image_io import read_gray, write_png
from datasets.pairing import HIDDEN, images_by_stem
from training.data import build_dataset
from training.distributed import World
from training.prediction import boxes_of, check_prediction, logits_to_prob, resize_prob
from training.runtime import Runtime
from training.split import Split
from training.tensorboard import Logbook
from utils.config import Config
from utils.files import read_rows, whole_folder, write_rows

FOLDER, TABLE = "pseudo_labels", "labels.csv"
_FLIPS = ((), (2,), (3,), (2, 3))
_MOST_SHOWN, _TILE, _HEAD = 8, 192, 18  # slices of a montage; px
_CURVES = ("confidence", "kept", "lesion_share", "reliability", "dice")


class _Labelled(NamedTuple):
    """A slice of the pool, its pseudo label in [0, 1] (H, W), and mean Dice with earlier ones."""

    index: int
    image: np.ndarray
    prob: np.ndarray
    reliability: float | None


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
                    write_png(draft / "mask" / f"{name}.png", _to_bytes(item.prob))
                    truth = read_gray(truths[name]) > 0 if name in truths else None
                    rows.append(self._row(number, item, truth))
                    if item.index in shown:
                        tiles.append(_tiles(item, truth, name))
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
                agreement = [_dice(own.numpy() >= 0.5, e.numpy() >= 0.5) for e in earlier]
                prob = resize_prob(own, image.shape, box).numpy()
                check_prediction(prob, self.names[key.index])
                reliability = sum(agreement) / len(agreement) if agreement else None
                yield _Labelled(key.index, image, prob, reliability)

    def _prob(self, network: nn.Module, images: Tensor) -> Tensor:
        """Probability of lesion (B, H, W), the mean over flips where they are asked for."""
        flips = _FLIPS if self.config.semi_supervised.flips else _FLIPS[:1]
        total = torch.zeros_like(images[:, 0], dtype=torch.float32)
        for dims in flips:
            with self.runtime.autocast():
                prob = logits_to_prob(network(images.flip(dims)).mask)
            total += prob.flip(dims)[:, 0]
        return total / len(flips)

    def _row(self, number: int, item: _Labelled, truth: np.ndarray | None) -> dict[str, Any]:
        settings, prob = self.config.semi_supervised, item.prob
        kept = (prob >= settings.lesion_threshold) | (prob <= 1 - settings.background_threshold)
        return {
            "round": number,
            "name": self.names[item.index],
            "patient": self.pool.slices[item.index].patient,
            "confidence": _rounded(np.maximum(prob, 1 - prob).mean()),
            "kept": _rounded(kept.mean()),
            "lesion_share": _rounded((prob >= 0.5).mean()),
            "reliability": _rounded(item.reliability),
            "dice": _rounded(None if truth is None else _dice(prob >= 0.5, truth)),
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


def _to_bytes(prob: np.ndarray) -> np.ndarray:
    """255ths; from 128 on where the probability is at least one half."""
    return np.floor(prob * 255 + 0.5).astype(np.uint8)


def _dice(one: np.ndarray, other: np.ndarray) -> float:
    """Of two masks; 1 where both are blank."""
    total = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / total if total else 1.0


def _rounded(value: float | None) -> float | str:
    return "" if value is None else round(float(value), 6)


def _tiles(item: _Labelled, truth: np.ndarray | None, name: str) -> np.ndarray:
    """CT, pseudo label and hidden truth of a slice side by side, its name above; (H, W) uint8."""
    low, high = item.image.min(), item.image.max()
    grey = (item.image - low.astype(np.float32)) * (255 / max(float(high) - float(low), 1.0))
    blank = np.zeros_like(grey) if truth is None else truth * 255.0
    row = np.hstack([_fitted(pixels) for pixels in (grey, item.prob * 255, blank)])
    head = np.zeros((_HEAD, row.shape[1]), np.uint8)
    cv2.putText(head, name, (4, _HEAD - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 255, 1, cv2.LINE_AA)
    return np.vstack([head, row])


def _fitted(pixels: np.ndarray) -> np.ndarray:
    """Pixels as large as fit into a tile."""
    scale = _TILE / max(pixels.shape)
    size = tuple(max(1, round(side * scale)) for side in pixels.shape[::-1])
    tile = np.zeros((_TILE, _TILE), np.uint8)
    fitted = cv2.resize(pixels.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    tile[: size[1], : size[0]] = np.rint(fitted)
    return tile
