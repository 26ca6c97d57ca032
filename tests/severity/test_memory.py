"""Memory while a large scan is measured."""

import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest

from datasets.volumes.volume import Volume
from severity import write_severity
from tests.severity.chest import SPACING, make_chest

SIZE, NUM_SLICES = 512, 300


@pytest.mark.slow
def test_a_large_scan_takes_less_than_150_mib(tmp_path: Path) -> None:
    chest = make_chest()
    scan = np.memmap(tmp_path / "scan", np.int16, "w+", shape=(NUM_SLICES, SIZE, SIZE))
    mask = np.memmap(tmp_path / "mask", np.uint8, "w+", shape=scan.shape)
    for index in range(NUM_SLICES):
        plane = index * len(chest.hu) // NUM_SLICES
        scan[index] = cv2.resize(chest.hu[plane], (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
        mask[index, 200:300, 100:200] = chest.lung[plane].any()
    height, width = (side * mm for side, mm in zip(chest.hu.shape[1:], SPACING[1:], strict=True))
    affine = np.diag([-width / SIZE, -height / SIZE, len(chest.hu) * 5.0 / NUM_SLICES, 1.0])
    volume = Volume("large", tmp_path / "scan", scan.transpose(2, 1, 0), affine)
    tracemalloc.start()
    severity = write_severity(tmp_path / "out", volume, mask, None, unit_is_hu=True, title="large")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert severity.involvement_percent > 0
    assert peak < 150 * 2**20
