"""Draw one axial slice of the phantom anatomy in HU (shapes: `datasets.synthetic.shapes`)."""

from dataclasses import dataclass

import cv2
import numpy as np

from datasets.synthetic.body import draw_body
from datasets.synthetic.findings import Findings, draw_findings, oblique_fissure
from datasets.synthetic.shapes import (
    AIR,
    FAT,
    HEART,
    LIVER,
    LUNG_HEIGHT,
    SOFT,
    Anatomy,
    Frame,
    level_of,
)
from datasets.synthetic.textures import Textures
from datasets.synthetic.vessels import VesselTree, draw_vessels


@dataclass
class Layers:
    """The slice before lesions: everything outside the lungs, the lungs, and what lies in them."""

    soft: np.ndarray  # HU with lungs filled in as soft tissue
    lung: np.ndarray  # coverage 0..1
    lung_hu: np.ndarray
    vessel: np.ndarray  # coverage 0..1
    airway: np.ndarray  # coverage 0..1 of bronchial lumen
    pleura: np.ndarray  # (H, W) uint8, both chest cavities before mediastinum and diaphragm
    distance: np.ndarray  # units to the nearest lung border, 0 outside
    oblique: np.ndarray  # units behind the oblique fissure: lower lobe above 0


def _mediastinum(anatomy: Anatomy, z: float) -> list[tuple]:
    """Ellipses (centre, radii, HU, angle) which lie between or over the lungs at depth z."""
    t = z / LUNG_HEIGHT
    x, y, wide, high, angle = anatomy.heart
    blood = HEART + anatomy.contrast
    parts = [((0, 46), (18, 19), SOFT, 0), ((2, -6), (15 + 10 * t, 28), FAT + 90 * anatomy.lean, 0)]
    if t < 0.55:
        parts.append(((3, -24), (12 + 22 * t, 16 + 12 * t), FAT + 110 * anatomy.lean, 0))
    if t < 0.2:  # the vessels of neck and arms
        for side, depth in ((-1, -2), (1, 0), (-1, -16), (1, -18)):
            at = (side * (8 + 20 * (0.2 - t)) + 2, depth)
            parts.append((at, (5.5, 5.5), blood, 0))
    rise = 1 - ((t - 0.74) / 0.38) ** 2
    if rise > 0:
        size = np.sqrt(rise)
        parts.append(((x * size, y), (wide * size + 3, high * size + 3), FAT + 60, angle))
        parts.append(((x * size, y), (wide * size, high * size), blood, angle))
        parts.append(((-6, y + 8), (20 * size, 0.8 * high * size), blood, -10))
        if anatomy.contrast > 60:  # the wall between the chambers stays darker
            parts.append(((x * size - 4, y), (2.5, 0.5 * high * size), HEART + 60, angle + 20))
    if 0.3 < t < 0.56:  # ascending aorta, vena cava, trunk and right branch of the lung's artery
        parts.append(((-4, -22), (11, 11), blood, 0))
        parts.append(((-18, -18), (7, 8), blood, 0))
        if t > 0.4:
            parts.append(((12, -24), (10, 13), blood, 15))
            parts.append(((-4, -4), (20, 6.5), blood, -8))
    near = 1 - ((t - 0.48) / 0.13) ** 2
    if near > 0:  # hila: pulmonary arteries and veins on their way into the lungs
        wave = 8 * np.sin(40 * t + 6 * anatomy.bone_phase)
        for side in (-1, 1):
            parts.append(
                ((side * 20, 2 - 0.5 * wave), (13 * near + 4, 4.5), blood, side * wave * 3)
            )
            parts.append(((side * 25, 8 + wave), (5 * near + 2, 5 * near), blood, 0))
    if t > 0.28:
        parts.append(((17, 29), (9.5, 9.5), blood, 0))
    elif t > 0.2:
        parts.append(((8, 0), (11, 27), blood, -28))
    return parts


def _draw_airways(
    frame: Frame, anatomy: Anatomy, body: np.ndarray, lung: np.ndarray, z: float
) -> None:
    """Trachea, carina and the main bronchi on their way to the hila."""
    t = z / LUNG_HEIGHT
    if t < 0.36:
        parts = [(0.0, 6.0, 6.0)]
    elif t < 0.42:
        parts = [(-5.0, 7.0, 6.0), (5.0, 7.0, 6.0)]
    elif t < 0.55:
        out = 8 + (t - 0.42) * 170
        parts = [(-out, 6.0, 5.0), (out, 7.0, 4.5)]
    else:
        parts = []
    width, shift_x, shift_y, _ = anatomy.wobble[-1]
    for x, y, radius in parts:
        center, radius = (x + 40 * shift_x, y + 60 * shift_y), radius * (1 + 2 * width)
        wall = anatomy.wobbly(-2, center, (radius + 1.5, radius + 1.5), 0)
        frame.fill(body, wall, level_of(SOFT))
        frame.fill(lung, wall, 0)
        lumen = anatomy.wobbly(-2, center, (radius, radius * 0.9), 0)
        frame.fill(body, lumen, level_of(AIR))
    frame.ellipse(body, (4, 22), (4, 3), level_of(SOFT - 20))  # gullet


def _fill_stomach(
    frame: Frame, anatomy: Anatomy, textures: Textures, z: float, value: np.ndarray
) -> np.ndarray:
    """Food mottled with gas, as a lesion may look, in `value`: HU below the left dome."""
    x, y, depth, *radii, threshold = anatomy.food
    if not radii[2] or abs(z - depth) >= radii[2]:
        return value
    half = np.sqrt(1 - ((z - depth) / radii[2]) ** 2)
    inside = frame.canvas()
    frame.fill(inside, anatomy.wobbly(5, (x, y), (radii[0] * half, radii[1] * half), 20), 255)
    shift = int(z * 7) % (frame.size // 4)
    specks = textures.fine[shift : shift + frame.size, shift : shift + frame.size]
    specks = specks + 0.7 * textures.drifting("medium", z, 1.5, frame.size)
    mottled = np.clip(specks - threshold, 0, 1)
    food = SOFT - 15 + (AIR - SOFT) * 0.9 * mottled
    return value + (food - value) * (inside / np.float32(255))


def _apply_domes(
    frame: Frame, anatomy: Anatomy, textures: Textures, z: float, half: float, soft: np.ndarray,
    lung: np.ndarray,
) -> None:  # fmt: skip
    """Push liver and left upper abdomen into the lungs, with the partial volume of a slice."""
    gas = frame.canvas()
    for bubble in anatomy.gas:
        reach = bubble[3] ** 2 - ((bubble[2] - z) / 1.5) ** 2
        if reach > 1:
            frame.ellipse(gas, bubble[:2], (np.sqrt(reach), 0.8 * np.sqrt(reach)), 255)
    for number, (x, y, top, wide, high, breath) in enumerate(anatomy.domes):
        if z < top - 5:
            continue
        dx, dy = (frame.x - x) / wide, (frame.y - y) / high
        bowl = (dx * dx + dy * dy) * (1 + 0.12 * np.sin(3 * dx + 5 * anatomy.bone_phase) * dy)
        cover = np.clip((z - top - 52 * bowl) / max(2 * half, breath) + 0.5, 0, 1)
        cover *= frame.x < 8 if number == 0 else frame.x > -2
        inside = cover * (lung > 0)
        value = LIVER + 0.4 * anatomy.contrast if number == 0 else SOFT
        if number:
            spleen = (frame.y > 8) * 0.5 * anatomy.contrast
            fat = (FAT - SOFT) * anatomy.belly * (frame.y < 8)
            value = _fill_stomach(frame, anatomy, textures, z, value + spleen + fat)
            value = value + (AIR - value) * (gas.astype(np.float32) / 255)
        soft += inside * (value - soft)
        lung *= 1 - cover


def _lung_tissue(
    frame: Frame, anatomy: Anatomy, findings: Findings, textures: Textures, layers: Layers,
    z: float, contours: list[np.ndarray],
) -> None:  # fmt: skip
    """Fill `lung_hu`: density rising to the back, end branches, findings, vessels, bronchi."""
    base, gradient, _ = anatomy.density
    coarse = textures.drifting("coarse", z, 12, frame.size)
    hu = base + gradient * (frame.y / 60)
    hu += 11 * coarse
    hu += 11 * textures.drifting("medium", z, 3, frame.size)
    shift = int(z * 7) % (frame.size // 4)
    specks = textures.fine[shift : shift + frame.size, shift : shift + frame.size]
    hu += 70 * np.maximum(specks - 1.3, 0)  # end branches too small to be drawn one by one
    draw_findings(frame, findings, z, hu, layers.distance, contours, coarse)
    fade = np.clip(layers.distance / 4, 0.1, 1)  # vessels end short of the pleura
    layers.vessel = layers.vessel * fade
    layers.airway = layers.airway * np.clip(layers.distance / 10, 0, 1)
    hu += layers.vessel * (SOFT + anatomy.contrast - hu)
    hu += layers.airway * (-960 - hu)
    layers.lung_hu = hu


def render_layers(
    frame: Frame, anatomy: Anatomy, findings: Findings, tree: VesselTree, textures: Textures,
    z: float, rng: np.random.Generator, half: float = 1.0,
) -> Layers:  # fmt: skip
    """Draw the slice at depth z (units below the apex), without lesions, blur or noise.

    `half` is half the thickness of the slice, units.
    """
    contours = [anatomy.lung_contour(side, z) for side in (0, 1)]
    body = draw_body(frame, anatomy, z, contours, rng)
    lung = frame.canvas()
    for contour in contours:
        frame.fill(lung, contour, 255)
    pleura = lung.copy()
    for part, (center, radii, hu, angle) in enumerate(_mediastinum(anatomy, z)):
        outline = anatomy.wobbly(part, center, radii, angle)
        frame.fill(lung, outline, 0)
        if hu != SOFT:  # the part around the spine keeps its bones
            frame.fill(body, outline, level_of(hu))
    front = max(contour[:, 1].min() for contour in contours)
    frame.ellipse(body, (0, front + 8), (7, 4), level_of(FAT))
    _draw_airways(frame, anatomy, body, lung, z)
    soft = body.astype(np.float32) * 8 - 1024
    strands = textures.drifting("medium", z, 4, frame.size)
    patches = textures.drifting("coarse", z, 9, frame.size)
    soft += np.where(soft > -200, anatomy.density[2] + 9 * strands + 12 * patches, 0)
    cover = lung.astype(np.float32) / 255
    _apply_domes(frame, anatomy, textures, z, half, soft, cover)
    distance = cv2.distanceTransform((cover > 0.5).astype(np.uint8), cv2.DIST_L2, 3) / frame.scale
    lumen = draw_vessels(frame, tree.bronchi, z, half) / np.float32(255)
    wall = draw_vessels(frame, tree.bronchi, z, half, grow=0.6) * np.float32(0.45 / 255)
    vessel = np.maximum(draw_vessels(frame, tree.vessels, z, half) / np.float32(255), wall)
    sides = [oblique_fissure(contour, frame.x[:1], z) for contour in contours]
    oblique = frame.y - np.where(frame.x[:1] < 0, *sides)
    layers = Layers(soft, cover, soft, vessel, lumen, pleura, distance, oblique)
    _lung_tissue(frame, anatomy, findings, textures, layers, z, contours)
    return layers
