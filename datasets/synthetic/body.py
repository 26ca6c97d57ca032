"""Body wall, bones, couch and gown of the phantom: everything around the lungs."""

import numpy as np

from datasets.synthetic.shapes import (
    AIR,
    CORTEX,
    FAT,
    LUNG_HEIGHT,
    RIB,
    SOFT,
    Anatomy,
    Frame,
    level_of,
)


def _draw_couch(frame: Frame, canvas: np.ndarray, anatomy: Anatomy, z: float) -> None:
    gap, sag, depth, flat, shift = anatomy.couch
    x = np.linspace(-190, 190, 48)
    bow = np.zeros_like(x) if flat else -sag * (x / 128) ** 2
    top = np.stack([x + shift, 77 + gap + bow], 1)
    bottom = np.stack([x + shift, 77 + gap + depth + (0 if flat else 1.05) * bow], 1)
    frame.fill(canvas, np.concatenate([top, bottom[::-1]]), level_of(-925))
    frame.stroke(canvas, top, level_of(-330), 1)
    if anatomy.bone_phase > 0.4:  # some couches have a mattress
        mattress = top + np.array([0, 0.35 * depth])
        frame.stroke(canvas, mattress, level_of(-250), 1)
    frame.stroke(canvas, bottom, level_of(300), 1.6)
    t = z / LUNG_HEIGHT
    if flat or not 0.15 < (t + anatomy.bone_phase * 0.3) % 1 < 0.85:
        return
    y = 77 + gap + depth - 7
    for dx, dy, wide, high in ((0, 0, 13, 5), (0, 7, 20, 1.5)):
        frame.ellipse(canvas, (shift + dx, y + dy), (wide, high), level_of(500))
    frame.ellipse(canvas, (shift, y), (10, 3), level_of(-900))


def _draw_clothes(
    frame: Frame, canvas: np.ndarray, skin: np.ndarray, rng: np.random.Generator
) -> None:
    """Faint folds of a gown some units in front of the skin."""
    front = skin[np.argsort(skin[:, 0])]
    front = front[front[:, 1] < 30]
    gap = 3 + np.abs(np.convolve(rng.normal(0, 5, len(front) + 6), np.ones(7) / 7, "valid"))
    length = np.linalg.norm(front, axis=1, keepdims=True)
    frame.stroke(canvas, front * (1 + gap[:, None] / length), level_of(-885), 1)


def _draw_bones(
    frame: Frame, canvas: np.ndarray, anatomy: Anatomy, z: float, contours: list[np.ndarray]
) -> None:
    phase = 2 * np.pi * (z / 24 + anatomy.bone_phase)  # a vertebra and a rib every 24 units
    for side, contour in enumerate(contours):
        center = contour.mean(0)
        outward = contour - center
        outward /= np.linalg.norm(outward, axis=1, keepdims=True)
        rim = contour + outward * (0.55 * anatomy.wall)
        angle = np.linspace(0, 2 * np.pi, len(contour), endpoint=False)
        # Ribs slope down to the front, so a slice cuts several of them into short pieces.
        rib = np.sin(6 * angle + (1 if side else 1.07) * phase) > 0.15
        rib &= (np.abs(rim[:, 0]) > 24) | (rim[:, 1] > 30)
        for piece in np.split(np.arange(96), np.flatnonzero(np.diff(rib.astype(int))) + 1):
            if rib[piece[0]] and len(piece) > 3:
                frame.stroke(canvas, rim[piece], level_of(CORTEX), 0.62 * anatomy.wall)
                frame.stroke(canvas, rim[piece[1:-1]], level_of(RIB), 0.28 * anatomy.wall)
    disc = np.cos(phase) > 0.75
    frame.ellipse(canvas, (0, 60), (22, 5), level_of(RIB if not disc else SOFT))
    frame.ellipse(canvas, (0, 42), (15.5, 12.5), level_of(SOFT if disc else CORTEX))
    frame.ellipse(canvas, (0, 42), (14, 11), level_of(95 if disc else RIB))
    frame.ellipse(canvas, (0, 58), (8.5, 7), level_of(CORTEX))
    frame.ellipse(canvas, (0, 58), (6.5, 5.5), level_of(30))
    frame.stroke(canvas, np.array([(0, 66), (0, 72)]), level_of(RIB + 150), 3)
    front = max(c[:, 1].min() for c in contours) - 5
    if z < 0.75 * LUNG_HEIGHT:
        frame.ellipse(canvas, (0, front), (14, 4.5), level_of(CORTEX - 200))
        frame.ellipse(canvas, (0, front), (12, 3), level_of(RIB - 60))
    if z < 0.45 * LUNG_HEIGHT:  # shoulder blades, in the muscle behind the ribs
        for side in (-1, 1):
            blade = np.array([(58, 56), (76, 50 - 0.1 * z), (90 - 0.1 * z, 34 + 0.1 * z)])
            frame.stroke(canvas, blade * (side, 1), level_of(CORTEX), 4)
            frame.stroke(canvas, blade * (side, 1), level_of(RIB), 1.5)


def draw_body(
    frame: Frame, anatomy: Anatomy, z: float, contours: list[np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    """Everything outside the lungs but the heart and the upper abdomen, as drawing levels."""
    canvas = np.full((frame.size, frame.size), level_of(AIR), np.uint8)
    outside, inside = canvas.copy(), frame.canvas()
    skin = anatomy.skin_contour(z)
    _draw_couch(frame, outside, anatomy, z)
    _draw_clothes(frame, outside, skin, rng)
    frame.fill(inside, skin, 255)
    frame.fill(canvas, skin, level_of(FAT))
    upper = max(0.0, 1 - z / (0.5 * LUNG_HEIGHT))
    for side in (-1, 1):
        frame.ellipse(canvas, (side * 24, 64), (22, 9), level_of(SOFT))
        if upper > 0:
            wide = 26 + 40 * upper
            frame.ellipse(canvas, (side * 80, 36), (wide, 20), level_of(SOFT), side * -12)
            at = (side * (52 + 14 * upper), -56 + 18 * upper)
            frame.ellipse(canvas, at, (30, 3 + 9 * upper), level_of(SOFT), side * 25)
    for contour in contours:
        frame.fill(canvas, contour, level_of(SOFT))
        frame.stroke(canvas, contour, level_of(SOFT), 3.4 * anatomy.wall, closed=True)
    frame.fill(canvas, np.concatenate([c[c[:, 1] < 40] for c in contours]), level_of(SOFT))
    _draw_bones(frame, canvas, anatomy, z, contours)
    canvas = np.where(inside > 127, canvas, outside)
    frame.stroke(canvas, skin, level_of(20), 1.3, closed=True)
    for side in (-1, 1) if anatomy.arms else ():
        at = (side * anatomy.arms, 25)
        for size, hu in ((22, 20), (21, FAT), (16, SOFT), (6.5, CORTEX + 300), (4, RIB)):
            frame.ellipse(canvas, at, (0.85 * size, size), level_of(hu))
    return canvas
