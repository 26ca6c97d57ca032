"""The grey values of a pseudo label on disk: probability of lesion, or classes to be told apart.

Of one class they are the probability of lesion in 255ths, from 128 on where it is at least one
half. Of K classes the background is black, class k is k / K of white, and a px that is not sure
enough is the dark grey below the first of them.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from datasets.image_io import read_gray
from training.certainty import decide
from utils.config_semi_supervised import SemiSupervisedConfig
from utils.errors import UserError

UNSURE = 255  # label of a px that has no part in the loss
_DARK = 16


def to_grey(prob: Tensor, settings: SemiSupervisedConfig) -> np.ndarray:
    """A pseudo label (H, W) uint8 of probabilities (K, H, W), as the file has it."""
    if len(prob) == 1:
        return np.floor(prob[0].numpy() * 255 + 0.5).astype(np.uint8)
    label, kept = decide(prob[None], settings)
    greys = torch.from_numpy(_greys(len(prob) - 1))
    return torch.where(kept, greys[label], _DARK)[0, 0].numpy()


def read_pseudo_label(path: Path, num_classes: int) -> np.ndarray:
    """A pseudo label, (H, W) uint8.

    Args:
        path: The file.
        num_classes: Beside the background; 0 where lesion is not divided.

    Returns:
        255ths; of classes 0 to num_classes, or UNSURE.

    Raises:
        UserError: The file is gone or damaged.
    """
    try:
        values = read_gray(path)
    except UserError as error:
        raise UserError(f"{error}; a pseudo label of this run: start the run anew") from error
    if not num_classes:
        return values
    labels = np.full(256, UNSURE, np.uint8)
    labels[_greys(num_classes)] = np.arange(num_classes + 1)
    return labels[values]


def _greys(num_classes: int) -> np.ndarray:
    """(num_classes + 1,) uint8."""
    return (np.arange(num_classes + 1) * 255 // num_classes).astype(np.uint8)
