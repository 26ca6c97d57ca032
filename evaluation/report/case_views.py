"""What the page shows of each case: the slice as a small picture, both outlines as SVG paths."""

import base64
import json
import tempfile
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from figures.outlines import outline

# 1,000 cases are to stay within some 15 MB: the first of these pictures that is small enough.
_PICTURE_BYTES = 9 * 1024
_LONG_SIDES_PX = (384, 256, 128)
_QUALITIES = (80, 65, 50, 35)
_ROLES = ("target", "pred")


class CaseViews:
    """Views of cases, spooled to a temporary file while an evaluation runs.

    Memory holds one case at a time, however many there are. A context manager: the file is gone
    at its end.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Starts without a case.

        Args:
            folder: Existing folder for the temporary file; None takes the system's, which may lie
                in memory.
        """
        self._spool = tempfile.TemporaryFile("w+", encoding="utf-8", dir=folder)  # noqa: SIM115
        self._num_views = 0

    def __enter__(self) -> "CaseViews":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._spool.close()

    def __len__(self) -> int:
        return self._num_views

    def add(
        self,
        name: str,
        image: np.ndarray,
        target: NDArray[np.bool_],
        pred: NDArray[np.bool_],
        classes: Sequence[tuple[NDArray[np.bool_], NDArray[np.bool_]]] = (),
    ) -> None:
        """Adds the view of one case; nothing is added if it raises.

        Args:
            name: Name of the case.
            image: (H, W) grey levels. uint8 is shown as it is, every other type between its own
                extremes.
            target: (H, W) bool, True on the lesion, at the size at which the case was scored.
            pred: (H, W) bool, True on the prediction.
            classes: Target and prediction of every class, where the lesion is divided.

        Raises:
            ValueError: Shapes that differ, not (H, W), masks that are not bool, or grey levels
                that are not finite; the message names the case.
        """
        _check(name, image, target, pred)
        height, width = target.shape
        view = {"name": name, "width": width, "height": height, "image": _picture(_grey(image))}
        view["target"], view["target_block"] = outline(target)
        view["pred"], view["pred_block"] = outline(pred)
        view["classes"] = []
        for own in classes:
            paths, blocks = zip(*map(outline, own), strict=True)
            view["classes"].append(dict(zip(_ROLES, paths, strict=True)))
            for role, block in zip(_ROLES, blocks, strict=True):
                view[f"{role}_block"] = max(view[f"{role}_block"], block)
        self._spool.seek(0, 2)
        self._spool.write(json.dumps(view) + "\n")
        self._num_views += 1

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The views in the order of their cases.

        Yields:
            - name, and width, height in px: the system of coordinates of the outlines.
            - image: data URL of a WebP, at most 384 px on the long side, for the same field.
            - target, pred: SVG paths, and target_block, pred_block in px; see outline.
            - classes: target and pred of every class.
        """
        self._spool.seek(0)
        for _ in range(self._num_views):
            yield json.loads(self._spool.readline())


def _check(name: str, image: np.ndarray, target: np.ndarray, pred: np.ndarray) -> None:
    """Refuses what cannot be drawn; see CaseViews.add."""
    if image.ndim != 2 or image.size == 0:
        raise ValueError(f"case {name!r}: image must be a non-empty (H, W), got {image.shape}")
    if not np.isfinite(image).all():
        raise ValueError(f"case {name!r}: image has grey levels that are not finite")
    for role, mask in (("target", target), ("pred", pred)):
        if mask.dtype != np.bool_:
            raise ValueError(f"case {name!r}: {role} must be bool, got {mask.dtype}")
        if mask.shape != image.shape:
            raise ValueError(
                f"case {name!r}: {role} is {mask.shape}, image is {image.shape}; resize one of them"
            )


def _grey(image: np.ndarray) -> NDArray[np.uint8]:
    """(H, W) uint8, as CaseViews.add says."""
    if image.dtype == np.uint8:
        return image
    low, high = float(image.min()), float(image.max())
    if high == low:
        return np.zeros(image.shape, dtype=np.uint8)
    return np.rint((image.astype(np.float64) - low) * (255 / (high - low))).astype(np.uint8)


def _picture(grey: NDArray[np.uint8]) -> str:
    """Data URL of a WebP of bounded size."""
    for long_side, quality in product(_LONG_SIDES_PX, _QUALITIES):
        shrink = min(long_side / max(grey.shape), 1)
        size = [max(round(side * shrink), 1) for side in grey.shape[::-1]]
        small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
        data = cv2.imencode(".webp", small, [cv2.IMWRITE_WEBP_QUALITY, quality])[1].tobytes()
        if len(data) <= _PICTURE_BYTES:
            break
    return "data:image/webp;base64," + base64.b64encode(data).decode("ascii")
