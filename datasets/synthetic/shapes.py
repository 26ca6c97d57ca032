"""Synthetic chest anatomy in HU: body, lungs, mediastinum, spine, ribs, vessels, airways, couch.

Lengths are in units: 1 unit is 1 px of a 256 px frame (about 1.45 mm for a 370 mm field of view).
The origin is the midline at mid-chest; x points to the image's right (the patient's left), y to the
back, z from the apex down to the base. Shapes are control points at five levels, read off axial
anatomy by eye. HU values are general radiology knowledge.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.interpolate import CubicSpline

LUNG_HEIGHT = 170.0  # units: about 250 mm from apex to costophrenic angle
LEVELS = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
AIR, FAT, SOFT, HEART, LIVER, RIB, CORTEX = -1000, -95, 45, 42, 55, 130, 420
# One hemithorax (x < 0), from the anterior midline around the side to the posterior midline.
LUNG_POINTS = np.array(
    [
        [(-16, -24), (-30, -32), (-45, -26), (-56, -8), (-58, 12), (-51, 28), (-41, 35), (-30, 34),
         (-22, 26), (-18, 10), (-15, -5), (-14, -16)],
        [(-8, -46), (-26, -52), (-50, -42), (-66, -20), (-71, 5), (-66, 32), (-53, 48), (-38, 54),
         (-23, 46), (-15, 27), (-11, 4), (-8, -22)],
        [(-7, -55), (-28, -61), (-55, -50), (-74, -25), (-80, 5), (-74, 34), (-60, 52), (-41, 59),
         (-23, 51), (-15, 31), (-9, 5), (-7, -28)],
        [(-8, -57), (-32, -63), (-61, -51), (-79, -25), (-84, 7), (-78, 37), (-62, 55), (-42, 61),
         (-23, 55), (-15, 34), (-9, 8), (-8, -28)],
        [(-10, -54), (-34, -60), (-62, -50), (-80, -24), (-85, 8), (-78, 37), (-62, 54), (-42, 59),
         (-23, 54), (-15, 35), (-10, 8), (-9, -28)],
    ],
    dtype=np.float32,
)  # fmt: skip
# Half of the skin (x < 0), front to back; arms are raised, so the shoulders leave the frame.
SKIN_POINTS = np.array(
    [
        [(0, -52), (-30, -54), (-65, -50), (-112, -28), (-152, 6), (-148, 40), (-95, 68), (-40, 78),
         (0, 75)],
        [(0, -64), (-30, -70), (-65, -66), (-100, -38), (-126, 5), (-122, 40), (-88, 67), (-40, 78),
         (0, 76)],
        [(0, -73), (-30, -78), (-66, -71), (-95, -44), (-110, -4), (-107, 36), (-84, 65), (-40, 78),
         (0, 76)],
        [(0, -76), (-33, -80), (-69, -70), (-96, -38), (-106, 2), (-102, 38), (-80, 65), (-40, 77),
         (0, 75)],
        [(0, -77), (-35, -79), (-70, -67), (-95, -34), (-104, 5), (-98, 40), (-75, 66), (-40, 76),
         (0, 74)],
    ],
    dtype=np.float32,
)  # fmt: skip


def _spline_matrix(num_points: int, num_out: int) -> np.ndarray:
    """Matrix which turns periodic control points into a smooth closed contour."""
    knots = np.arange(num_points + 1)
    eye = np.vstack([np.eye(num_points), np.eye(num_points)[:1]])
    spline = CubicSpline(knots, eye, bc_type="periodic")
    return spline(np.linspace(0, num_points, num_out, endpoint=False)).astype(np.float32)


_LUNG_SPLINE = _spline_matrix(12, 96)
_SKIN_SPLINE = _spline_matrix(16, 96)
_TURN = np.linspace(0, 2 * np.pi, 48, endpoint=False)
_CIRCLE = np.stack([np.cos(_TURN), np.sin(_TURN)], 1)
_WAVES = np.stack([wave(k * _TURN) for k in (2, 3) for wave in (np.cos, np.sin)], 1)


@dataclass(frozen=True)
class Frame:
    """Where the patient lies in the image: the map from units to pixels, and both unit grids."""

    size: int
    scale: float  # px per unit
    center: np.ndarray  # px
    x: np.ndarray
    y: np.ndarray

    @staticmethod
    def make(size: int, zoom: float, center: tuple[float, float]) -> "Frame":
        """Frame of `size` px; `center` in 256ths of the frame, `zoom` 1 for the average patient."""
        scale = float(size / 256 * zoom)  # a NumPy float64 would widen every array it meets
        origin = np.array(center, dtype=np.float32) * (size / 256)
        axis = np.arange(size, dtype=np.float32)
        x, y = np.meshgrid((axis - origin[0]) / scale, (axis - origin[1]) / scale)
        return Frame(size, scale, origin, x, y)

    def fixed(self, points: np.ndarray) -> np.ndarray:
        """Points (n, 2) in units to OpenCV fixed-point pixels with 4 fractional bits."""
        return np.rint((np.asarray(points) * self.scale + self.center) * 16).astype(np.int32)

    def length(self, units: float) -> int:
        """A stroke width in whole px, at least 1."""
        return max(1, round(units * self.scale))

    def canvas(self) -> np.ndarray:
        """Empty 8-bit canvas: OpenCV draws antialiased on 8 bit only."""
        return np.zeros((self.size, self.size), np.uint8)

    def fill(self, canvas: np.ndarray, points: np.ndarray, level: int) -> None:
        """Fill a closed contour (n, 2) in units."""
        cv2.fillPoly(canvas, [self.fixed(points)], level, cv2.LINE_AA, 4)

    def stroke(
        self, canvas: np.ndarray, points: np.ndarray, level: int, width: float, closed: bool = False
    ) -> None:
        """Draw a line of `width` units through points (n, 2) in units."""
        width_px = self.length(width)
        cv2.polylines(canvas, [self.fixed(points)], closed, level, width_px, cv2.LINE_AA, 4)

    def ellipse(
        self, canvas: np.ndarray, at: tuple, radii: tuple, level: int, angle: float = 0.0
    ) -> None:
        """Fill an ellipse; centre and radii in units, angle in degrees."""
        center, axes = self.fixed(np.array(at)), np.rint(np.array(radii) * self.scale * 16)
        axes = tuple(int(max(a, 1)) for a in axes)
        cv2.ellipse(canvas, center.tolist(), axes, angle, 0, 360, level, -1, cv2.LINE_AA, 4)


def level_of(hu: float) -> int:
    """Level of the 8-bit drawing canvas: 8 HU each from -1024 HU; noise hides the steps."""
    return int(np.clip((hu + 1024) / 8, 0, 255))


@dataclass(frozen=True)
class Anatomy:
    """What stays the same over all slices of one patient."""

    lungs: tuple[np.ndarray, np.ndarray]  # control points (levels, 12, 2): image left, image right
    skin: np.ndarray  # control points (levels, 16, 2)
    domes: np.ndarray  # (2, 6): centre x, y, top z, radii x, y of liver and left dome; blur in z
    heart: np.ndarray  # centre x, y, radius x, radius y (units), angle (degrees)
    wall: float  # thickness of ribs and muscle, units
    bone_phase: float
    couch: np.ndarray  # top at the midline, sag, depth (units), 0/1 flat, shift x
    density: np.ndarray  # HU: lung, its rise to the back, soft tissue offset
    gas: np.ndarray  # bubbles of stomach and colon: x, y, z, radius
    food: np.ndarray  # in the stomach: x, y, z, radii x, y, z, texture above which it is gas
    wobble: np.ndarray  # (parts, 4): cosines and sines that make an organ no ellipse
    lean: float  # 0..1: how little fat lies in the mediastinum
    belly: float  # 0..1: how much of it lies below the left dome
    contrast: float  # HU that contrast medium adds to blood
    arms: float  # 0: raised; otherwise their distance from the midline at the sides, units

    def lung_contour(self, side: int, z: float) -> np.ndarray:
        """Pleura (96, 2) of the image-left (0) or image-right (1) lung at depth z, units."""
        return _LUNG_SPLINE @ _at_level(self.lungs[side], z)

    def skin_contour(self, z: float) -> np.ndarray:
        """Skin (96, 2) at depth z, units."""
        return _SKIN_SPLINE @ _at_level(self.skin, z)

    def wobbly(self, part: int, center: tuple, radii: tuple, angle: float) -> np.ndarray:
        """Outline (48, 2) of an organ: an ellipse, bent as organ number `part` is; degrees."""
        waves = self.wobble[part % len(self.wobble)]
        points = _CIRCLE * (1 + _WAVES @ waves)[:, None] * radii
        turn = np.deg2rad(angle)
        cos, sin = np.cos(turn), np.sin(turn)
        return points @ np.array([[cos, sin], [-sin, cos]]) + center


def _at_level(control: np.ndarray, z: float) -> np.ndarray:
    position = np.clip(z / LUNG_HEIGHT, 0, 1) * (len(LEVELS) - 1)
    low = min(int(position), len(LEVELS) - 2)
    weight = np.float32(position - low)
    weight = weight * weight * (3 - 2 * weight)  # no kink at a level
    return control[low] * (1 - weight) + control[low + 1] * weight


def _jitter(rng: np.random.Generator, points: np.ndarray, std: float) -> np.ndarray:
    """Smooth random change of a shape: one part for all levels, a smaller one per level."""
    whole = rng.normal(0, std, points.shape[1:])
    whole = 0.5 * whole + 0.25 * (np.roll(whole, 1, 0) + np.roll(whole, -1, 0))
    return (points + whole + rng.normal(0, 0.25 * std, points.shape)).astype(np.float32)


def make_anatomy(rng: np.random.Generator) -> Anatomy:
    """Draw one patient."""
    stretch = np.array([rng.normal(1.06, 0.04), rng.normal(1, 0.07)])
    depth = rng.normal(1.0, 0.05)
    lungs = LUNG_POINTS.copy()
    lungs[1:, [0, 11], 0] += rng.uniform(-4, 5)  # in some patients the lungs all but meet in front
    left = _jitter(rng, lungs * stretch, 1.8)
    right = _jitter(rng, lungs * stretch * (rng.normal(0.98, 0.02), 1), 1.8) * (-1, 1)
    mirrored = SKIN_POINTS[:, 1:-1][:, ::-1] * (-1, 1)
    fatness = np.clip(rng.normal(1, 0.035), 0.96, 1.1) * stretch * (0.97, 1.01)
    skin = _jitter(rng, np.concatenate([SKIN_POINTS, mirrored], 1) * fatness, 1.2)
    breath = np.exp(rng.uniform(np.log(0.8), np.log(9)))  # units that the diaphragm moves
    liver_top = rng.uniform(0.6, 0.85) * LUNG_HEIGHT
    domes = [
        (-40, -12, liver_top, rng.uniform(58, 70), rng.uniform(62, 78), breath),
        (46, -14, liver_top + rng.uniform(4, 22), rng.uniform(44, 54), rng.uniform(52, 66), breath),
    ]
    heart = rng.normal((14, -15, 43, 38, 30), (2.5, 3, 3, 3, 8)) * (1, 1, depth, depth, 1)
    gas = rng.uniform((22, -50, 128, 3), (66, 10, 190, 12), (7, 4))
    meal = rng.spawn(1)[0]  # draws of its own: the rest of a patient is the same with and without
    food = meal.uniform((30, -40, 8, 16, 20, 24, 0.2), (60, 0, 36, 30, 36, 48, 1.6))
    food[2] += liver_top  # the stomach lies below the left dome
    if meal.random() < 0.3:  # empty
        food[3:6] = 0
    return Anatomy(
        lungs=(left.astype(np.float32), right.astype(np.float32)),
        skin=skin,
        domes=np.array(domes, np.float32),
        heart=heart,
        wall=rng.uniform(6.5, 10),
        bone_phase=rng.uniform(0, 1),
        couch=np.array(
            [
                rng.uniform(2, 8),
                rng.uniform(22, 38),
                rng.uniform(18, 34),
                rng.random() < 0.15,
                rng.normal(0, 3),
            ]
        ),
        density=rng.normal((-846, 34, 0), (18, 20, 12)).astype(np.float32),
        gas=gas[: rng.integers(1, 8)],
        food=food,
        wobble=rng.normal(0, 0.05, (14, 4)),
        lean=rng.uniform(0.2, 1.2),
        belly=rng.uniform(0, 1),
        contrast=rng.uniform(40, 260) if rng.random() < 0.25 else 0.0,
        arms=rng.uniform(118, 150) if rng.random() < 0.08 else 0.0,
    )
