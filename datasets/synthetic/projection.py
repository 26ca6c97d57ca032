"""Chest X-rays of the phantom: every patient of the synthetic CT, projected from front to back.

The body is drawn slice by slice as for CT (same patient, same lesions) from above the lungs to
below the diaphragm, and its attenuation added up along parallel rays. A CT patient lies with raised
arms and breathes in; so does this one. What the CT phantom lacks above its first slice, the tips of
the lungs, neck and collarbones, is added here.
"""

from dataclasses import dataclass, fields
from typing import NamedTuple

import cv2
import numpy as np

from datasets.synthetic.findings import Findings
from datasets.synthetic.lesions import MIN_LESION_PX, Disease, paint_lesions, without_crumbs
from datasets.synthetic.phantom import render_layers
from datasets.synthetic.shapes import Anatomy, Frame
from datasets.synthetic.textures import Textures
from datasets.synthetic.vessels import VesselTree

MM_PER_UNIT = 370.0 / 256  # as the CT set has it: 256 units over its field of view
MIDDLE = 84.0  # units below the apex: the middle of what is seen, as high as it is wide
STEP = 4.0  # units between slices; there is a rib every 24
APEX, TAPER = 26.0, 8.0  # units above the first slice of CT: tip of the lungs, where they narrow
BONE_EXCESS = 0.6  # of the attenuation above water at about 100 kV
COLLARBONE_MM, RIB_MM, FRONT_RIB_MM = 16.0, 13.0, 7.0
MIN_VISIBLE_MM = 4.0  # of water that a lesion adds where it is drawn: about 8 % of the intensity
MIN_LUNG_SHARE = 0.55  # of the chest's depth that is lung where the lung field is drawn
MIN_FIELD_MM = 25.0


@dataclass(frozen=True)
class UprightAnatomy(Anatomy):
    """An anatomy that goes on above its first level: lungs close in a dome, shoulders in a neck."""

    @classmethod
    def of(cls, anatomy: Anatomy) -> "UprightAnatomy":
        """The same patient."""
        return cls(**{field.name: getattr(anatomy, field.name) for field in fields(anatomy)})

    def lung_contour(self, side: int, z: float) -> np.ndarray:
        """See Anatomy; a point above the tip."""
        contour = super().lung_contour(side, z)
        if z >= TAPER:
            return contour
        width = np.sqrt(max(1 - ((TAPER - z) / (APEX + TAPER)) ** 2, 1e-4))
        centre = contour.mean(0)
        return (centre + (contour - centre) * width).astype(np.float32)

    def skin_contour(self, z: float) -> np.ndarray:
        """See Anatomy; a neck above the shoulders."""
        skin = super().skin_contour(z)
        rise = np.clip(-z / 40, 0, 1)
        narrow = 1 - 0.62 * rise**2 * (3 - 2 * rise)
        return (skin * (narrow, 1 - 0.12 * rise)).astype(np.float32)


class Projection(NamedTuple):
    """Sums along the rays; rows from head to feet, columns from the patient's right to the left.

    Attributes:
        body_mm: (H, W) water that attenuates as the patient does, mm.
        lesion_mm: (3, H, W) what ground-glass, consolidation and effusion add to it.
        lung_mm: (H, W) depth of lung, lesions and effusion in it, mm.
        chest_mm: (H, W) depth of both chest cavities, mm.
    """

    body_mm: np.ndarray
    lesion_mm: np.ndarray
    lung_mm: np.ndarray
    chest_mm: np.ndarray


def project(
    frame: Frame, anatomy: Anatomy, findings: Findings, tree: VesselTree, textures: Textures,
    disease: Disease, rng: np.random.Generator,
) -> Projection:  # fmt: skip
    """Add a patient up along rays from front to back.

    Args:
        frame: Of the CT slices, whose columns are those of the X-ray.
        anatomy: Of the patient.
        findings: Likewise.
        tree: Likewise.
        textures: Likewise.
        disease: Likewise.
        rng: Of what differs from slice to slice.
    """
    upright = UprightAnatomy.of(anatomy)
    half = frame.size / 2 / frame.scale
    rows = []
    for z in np.arange(MIDDLE - half + STEP / 2, MIDDLE + half, STEP):
        layers = render_layers(frame, upright, findings, tree, textures, z, rng)
        clear = layers.lung_hu.copy()
        label, lung = paint_lesions(frame, disease, textures, layers, z)
        inside = frame.canvas()
        frame.fill(inside, upright.skin_contour(z), 255)
        hu = layers.soft + layers.lung * (layers.lung_hu - layers.soft)
        added = layers.lung * (layers.lung_hu - clear) / 1000
        parts = [_water(hu) * (inside > 127), *(added * (label == value) for value in (1, 2, 3))]
        parts += [lung | (label > 0), layers.pleura / np.float32(255)]
        rows.append([part.sum(0, dtype=np.float32) for part in parts])
    mm = MM_PER_UNIT / frame.scale
    sums = [
        cv2.resize(mm * np.stack(part), (frame.size, frame.size), interpolation=cv2.INTER_CUBIC)
        for part in zip(*rows, strict=True)
    ]
    return Projection(sums[0] + _bones(frame, upright, rng), np.stack(sums[1:4]), sums[4], sums[5])


def _water(hu: np.ndarray) -> np.ndarray:
    """Water of the same attenuation, 1 being water; bone takes more of the softer rays."""
    return np.maximum(1 + hu / 1000, 0) + BONE_EXCESS * np.maximum(hu - 100, 0) / 1000


def _bones(frame: Frame, anatomy: Anatomy, rng: np.random.Generator) -> np.ndarray:
    """(H, W) what collarbones and ribs attenuate, mm of water.

    Ribs on CT are pieces in a ring; here they are arcs: behind, from the spine outwards and down,
    then fainter in front, further down and inwards.
    """
    bones = np.zeros((frame.size, frame.size), np.float32)
    shift = (frame.size / 2 - frame.center[1]) / frame.scale - MIDDLE  # rows are depths here

    def add(x: np.ndarray, z: np.ndarray, width: float, depth_mm: float) -> None:
        canvas = frame.canvas()
        frame.stroke(canvas, np.stack([x, z + shift], 1), 255, width)
        core = cv2.GaussianBlur(canvas.astype(np.float32), (0, 0), 0.9 * frame.scale)
        np.maximum(bones, core * (depth_mm / 255), out=bones)

    tilt, height = rng.uniform(10, 24), rng.uniform(-2, 8)
    slope, gap = rng.uniform(14, 26), rng.uniform(20, 23)
    along = np.linspace(0, 1, 24)
    for number, side in ((0, -1), (1, 1)):
        z = height + 6 - tilt * along - 5 * np.sin(2 * np.pi * along)
        add(side * (9 + 78 * along), z, 7.5, COLLARBONE_MM)
        for top in -18 + gap * np.arange(10):
            edge = np.abs(anatomy.lung_contour(number, top + slope)[:, 0]).max() + anatomy.wall / 2
            x = 15 + (edge - 15) * np.sin(np.pi / 2 * along)
            add(side * x, top - 5 * np.sin(np.pi * along) + slope * along**2, 6, RIB_MM)
            inwards = edge - 0.55 * edge * along**1.5
            add(side * inwards, top + slope * (1 + 1.5 * along**0.8), 5, FRONT_RIB_MM)
    return bones


def draw_masks(projection: Projection, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """What an annotator draws: lung fields, and lesions that can be seen in them.

    The lung field is where lung takes MIN_LUNG_SHARE of the chest's depth, which leaves out what
    lies behind heart and diaphragm. A lesion is drawn where lesions add MIN_VISIBLE_MM of water to
    a ray; its class is the one that adds most.

    Args:
        projection: Of the patient.
        scale: px per unit.

    Returns:
        label (H, W) uint8, 0 or a class of datasets.synthetic.lesions, and lung (H, W) bool.
    """
    share = projection.lung_mm / np.maximum(projection.chest_mm, 1)
    field = (share > MIN_LUNG_SHARE) & (projection.lung_mm > MIN_FIELD_MM)
    smooth = cv2.GaussianBlur(field.astype(np.float32), (0, 0), 2 * scale) > 0.5
    num, parts, stats, _ = cv2.connectedComponentsWithStats(smooth.astype(np.uint8))
    largest = 1 + np.argsort(-stats[1:, cv2.CC_STAT_AREA])[:2]
    lung = np.isin(parts, largest) if num > 1 else smooth
    added = np.stack([cv2.GaussianBlur(one, (0, 0), 2.5 * scale) for one in projection.lesion_mm])
    outline = without_crumbs((added.sum(0) >= MIN_VISIBLE_MM) & lung, MIN_LESION_PX * scale**2)
    return np.where(outline, 1 + added.argmax(0), 0).astype(np.uint8), lung
