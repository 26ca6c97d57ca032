"""Synthetic COVID-19 lesions in HU: ground-glass, consolidation and pleural effusion.

A lesion spans several slices; noise that drifts slowly with depth breaks up its border. Some hug
the pleura as a crescent, some lie free or fill a lobe up to its fissure; ground-glass may bear a
net (crazy paving), a solid core, or a clear centre (reversed halo). Mostly bilateral, subpleural
and in the dependent lung, and effusion in few: Shi et al., Lancet Infect Dis 2020,
doi:10.1016/S1473-3099(20)30086-4.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from datasets.synthetic.effusion import paint_effusion
from datasets.synthetic.phantom import Layers
from datasets.synthetic.shapes import LUNG_HEIGHT, Anatomy, Frame
from datasets.synthetic.textures import Textures

GROUND_GLASS, CONSOLIDATION, EFFUSION = 1, 2, 3
GROUND_GLASS_HU = (-455.0, 120.0)  # mean and deviation over patients; vessels stay visible
GROUND_GLASS_RANGE = (-760.0, -220.0)
CONSOLIDATION_HU = (-220.0, 20.0)  # solid is 0..60 HU; air left in it and blur lower the mean
EFFUSION_RATE = 0.03
LUNG_COVERAGE = 0.25  # annotators draw the pleura on its outer side,
MAX_GAP = 2.4  # units: and lesions short of it
MIN_LESION_PX = 9  # at 256 px; a smaller spot looks like a vessel
DEPENDENT_RATE = 0.25  # patients whose disease fills the back of the lungs; more if severe
HEALTHY_RATE = 0.08  # patients without any lesion, so that some cases ask for an empty answer
NO_LOBE, UPPER, LOWER = 0, -1, 1  # which side of the oblique fissure a lobar lesion keeps to


@dataclass(frozen=True)
class Disease:
    """Lesions of one patient.

    Rows of `blobs`: x, y, z of the centre; radii along and across the pleura and in depth (units);
    angle; HU; 1 if it hugs the pleura; width of its border as a share of its radius; HU that a
    reversed halo's centre lacks; lobe.
    """

    blobs: np.ndarray  # (n, 12)
    solid: float  # 0..1: how much of a lesion is consolidated
    roughness: float  # 0..1: how strongly noise breaks up the border
    grain: float  # HU of the texture inside lesions
    effusion: np.ndarray  # (2,) fluid depth in units at the base of the left and right lung
    dense_hu: float = -45.0  # of consolidation
    gravity: float = 0.0  # how much more of the back is consolidated
    paving: float = 0.0  # HU of the net of thickened septa in ground-glass
    pen: tuple[float, float, float] = (0.42, 1.3, 0.0)  # coverage, blur, gap to the pleura (units)


def _place(
    rng: np.random.Generator, anatomy: Anatomy, side: int, z: float, inward: float
) -> tuple[float, float, float]:
    """A centre `inward` of the way from the pleura, rather at the back, and the pleura's angle."""
    contour = anatomy.lung_contour(side, z)
    weight = np.where(contour[:, 1] > 0, 5.0, 1.0) * (np.abs(contour[:, 0]) > 22)
    index = rng.choice(len(contour), p=weight / weight.sum())
    point, center = contour[index], contour.mean(0)
    tangent = contour[(index + 3) % 96] - contour[index - 3]
    x, y = point + (center - point) * inward
    return x, y, np.arctan2(tangent[1], tangent[0])


def _make_blob(
    rng: np.random.Generator, anatomy: Anatomy, side: int, z: float, size: float, hu: float
) -> tuple[float, ...]:
    """One lesion's row."""
    kind = rng.random()
    border, hollow, lobe = rng.uniform(0.5, 1.8), 0.0, NO_LOBE
    hugs = kind < 0.33
    x, y, angle = _place(rng, anatomy, side, z, 0.0 if hugs else rng.beta(1.2, 2.6) * 0.9)
    along, across, deep = size * np.exp(rng.normal((0.3, 0.0, 0.5), 0.25))
    if hugs:
        along, across = 1.3 * along, 0.9 * across
    elif kind > 0.93 and size > 6:
        along, across, deep = 1.8 * along, 1.8 * across, 1.5 * deep
        lobe = UPPER if rng.random() < 0.3 else LOWER
    elif kind > 0.88:
        hollow = rng.uniform(80, 260)
    else:
        angle = angle + rng.normal(0, 0.5)
    return x, y, z, along, across, deep, angle, hu, float(hugs), border, hollow, lobe


def _fill_back(
    rng: np.random.Generator, anatomy: Anatomy, sides: tuple, severity: float, hu: float
) -> list[tuple[float, ...]]:
    """Wide crescents along the posterior wall, which flow together."""
    blobs = []
    for side in np.repeat(sides, rng.integers(1, 4)):
        z = rng.uniform(0.45, 0.9) * LUNG_HEIGHT
        contour = anatomy.lung_contour(side, z)
        lowest = contour[:, 1].argmax() + rng.integers(-14, 15)
        x, y = contour[lowest % 96]
        along, across, deep = rng.uniform((20, 6, 20), (34 + 20 * severity, 14 + 22 * severity, 65))
        own_hu = np.clip(hu + rng.normal(0, 60), *GROUND_GLASS_RANGE)
        border = rng.uniform(0.4, 1.5)
        blobs.append((x, y, z, along, across, deep, 0.0, own_hu, 1.0, border, 0.0, NO_LOBE))
    return blobs


def make_disease(rng: np.random.Generator, anatomy: Anatomy, min_severity: float = 0.0) -> Disease:
    """Draw severity, places, sizes and densities of one patient's lesions.

    Args:
        rng: The patient's numbers.
        anatomy: Where there is lung.
        min_severity: Least severity, 0 to 1; with severity lesions grow in number and size.
    """
    severity = min_severity + (1 - min_severity) * rng.beta(1.0, 2.8)
    count = 0 if rng.random() < HEALTHY_RATE else 1 + rng.poisson(21 + 62 * severity)
    focus = rng.uniform(0.4, 0.75)
    base_hu = rng.normal(*GROUND_GLASS_HU)
    one_sided = rng.random() < 0.12
    first_side = rng.integers(2)
    blobs = []
    for _ in range(count):
        side = first_side if one_sided else rng.integers(2)
        z = np.clip(rng.normal(focus, 0.23 + 0.1 * severity), 0.02, 1.0) * LUNG_HEIGHT
        size = np.exp(rng.normal(1.6 + 0.95 * severity, 0.5))
        size *= 0.4 if rng.random() < 0.55 else 1.0  # crumbs around the main lesions
        hu = np.clip(base_hu + rng.normal(0, 85), *GROUND_GLASS_RANGE)
        blobs.append(_make_blob(rng, anatomy, side, z, size, hu))
    if count and rng.random() < DEPENDENT_RATE + 0.5 * severity**2:
        sides = (first_side,) if one_sided else (0, 1)
        blobs += _fill_back(rng, anatomy, sides, severity, base_hu)
    effusion = np.zeros(2)
    if rng.random() < EFFUSION_RATE:
        effusion[:] = rng.uniform(4, 20, 2) * (rng.random(2) < 0.7)
    return Disease(
        blobs=np.array(blobs, np.float32).reshape(-1, 12),
        solid=min(1.0, rng.beta(0.9, 3.6) + 0.4 * severity * rng.random()),
        roughness=rng.uniform(0.25, 0.75),
        grain=rng.uniform(55, 185),
        effusion=effusion,
        dense_hu=rng.uniform(*CONSOLIDATION_HU),
        gravity=rng.uniform(0, 0.6),
        paving=rng.uniform(60, 260) * (rng.random() < 0.35),
        pen=(rng.uniform(0.22, 0.46), np.exp(rng.uniform(0.0, 1.25)), rng.uniform(0, MAX_GAP)),
    )


def _blob_field(
    frame: Frame, disease: Disease, layers: Layers, z: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Union of the lesions: 1 at a centre, 0 on the border; HU and border width of the winners."""
    field = np.full((frame.size, frame.size), -1.0, np.float32)
    value, border = np.full_like(field, -600.0), np.full_like(field, 0.6)
    for x, y, depth, along, across, deep, angle, hu, hugs, width, hollow, lobe in disease.blobs:
        rise = 1 - ((z - depth) / deep) ** 2
        if rise < -0.6:
            continue
        reach = 1.5 * max(along, across)
        low, high = frame.fixed(np.array([(x - reach, y - reach), (x + reach, y + reach)])) // 16
        low, high = np.clip(low, 0, frame.size), np.clip(high + 1, 0, frame.size)
        box = np.s_[low[1] : high[1], low[0] : high[0]]
        dx, dy = frame.x[box] - x, frame.y[box] - y
        if hugs:  # a crescent: across the pleura its distance counts, along it that of the centre
            own = rise - (dx * dx + dy * dy) / along**2 - (layers.distance[box] / across) ** 2
        else:
            cos, sin = np.cos(angle), np.sin(angle)
            own = rise - ((dx * cos + dy * sin) / along) ** 2
            own -= ((dy * cos - dx * sin) / across) ** 2
        if lobe:
            own = np.minimum(own, lobe * layers.oblique[box] / 5)
        won = own > field[box]
        field[box][won] = own[won]
        value[box][won] = hu - hollow * np.maximum(own[won], 0) if hollow else hu
        border[box][won] = width
    return field, value, border


def _paint_parenchyma(
    frame: Frame, disease: Disease, textures: Textures, layers: Layers, z: float
) -> tuple[np.ndarray, np.ndarray]:
    """Blend ground-glass and consolidation into `layers.lung_hu`; return both coverages."""
    field, value, border = _blob_field(frame, disease, layers, z)
    if field.max() < -0.5:
        return np.zeros_like(field), np.zeros_like(field)
    size = frame.size
    coarse = textures.drifting("coarse", z, 9, size)
    medium = textures.drifting("medium", z, 5, size)
    fine = textures.fine[:size, :size]
    rough = disease.roughness * (0.5 * coarse + 0.35 * medium + 0.1 * fine)
    glass = np.clip((field + np.maximum(rough, -0.9)) / border + 0.3, 0, 1) * (field > -0.7)
    core = field - 1.2 + 1.2 * disease.solid + 0.3 * medium + 0.35 * coarse + 0.15 * fine
    core += disease.gravity * np.clip((frame.y - 5) / 45, 0, 1)
    solid = np.clip(core / 0.45, 0, 1) * glass
    tissue = value + disease.grain * (0.8 * fine + 0.6 * medium + 0.5 * coarse)
    if disease.paving:
        septa = np.maximum(1 - np.abs(textures.drifting("medium", z, 14, size)) / 0.35, 0)
        tissue += disease.paving * (septa - 0.25)
    dense = disease.dense_hu + 35 * medium + 0.4 * disease.grain * fine
    tissue += solid * (dense - tissue)
    hu = layers.lung_hu
    target = np.maximum(tissue, hu + 30)  # a lesion adds density: vessels keep theirs
    target += layers.airway * (-850 - target)  # air bronchogram
    hu += glass * (target - hu)
    return glass, solid


def without_crumbs(outline: np.ndarray, least: float) -> np.ndarray:
    """The outline without components of fewer px, which annotators pass over."""
    _, parts, stats, _ = cv2.connectedComponentsWithStats(outline.astype(np.uint8))
    kept = stats[:, cv2.CC_STAT_AREA] >= least
    kept[0] = False
    return kept[parts]


def paint_lesions(
    frame: Frame, disease: Disease, textures: Textures, layers: Layers, z: float
) -> tuple[np.ndarray, np.ndarray]:
    """Paint all lesions of the slice at depth z into `layers.lung_hu`.

    Returns:
        label (H, W) uint8 with the classes of this module, and lung (H, W) bool without effusion.
    """
    glass, solid = _paint_parenchyma(frame, disease, textures, layers, z)
    fluid = paint_effusion(frame, disease.effusion, layers, z)
    lung = (layers.lung > LUNG_COVERAGE) & ~fluid
    # Annotators draw one generous smooth outline around patchy disease.
    least, sigma, gap = disease.pen[0], disease.pen[1] * frame.size / 256, disease.pen[2]
    outline = (cv2.GaussianBlur(glass, (0, 0), sigma) > least) & (layers.distance > gap) & lung
    outline = without_crumbs(outline, MIN_LESION_PX * (frame.size / 256) ** 2)
    dense = cv2.GaussianBlur(solid, (0, 0), sigma) > 0.5
    label = np.where(outline, np.uint8(GROUND_GLASS), np.uint8(0))
    label[outline & dense] = CONSOLIDATION
    label[fluid] = EFFUSION
    return label, lung
