"""What the slices of a set look like in numbers: grey levels, lesions, noise, position.

`python -m preparation.overview.statistics DIR [DIR ...]` prints one column per set, so that a
synthetic set can be held against a real one. Reads <DIR>/<split>/{image,mask,lung}/<stem>.png.
Lung figures use the slices with a lesion only, as real sets often have lung masks for no others.
"""

from pathlib import Path

import cv2
import numpy as np

from preparation.overview.grey_levels import PERCENTILES
from utils.cli import create_parser, run_main
from utils.errors import UserError

BODY_GREY = 128  # halfway between air (42) and soft tissue (about 215)
MIN_LUNG_PX, MIN_LESION_PX = 200, 30  # of a 256 x 256 slice; percentiles of fewer are noise


def _read(path: Path) -> np.ndarray | None:
    return cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) if path.exists() else None


def _high_pass(image: np.ndarray) -> np.ndarray:
    return image - cv2.GaussianBlur(image, (0, 0), 1.5)


def _lesion_rows(image: np.ndarray, mask: np.ndarray, lung: np.ndarray) -> dict[str, object]:
    """Figures of one slice with lesions."""
    healthy = lung & ~mask
    rows: dict[str, object] = {"lung area, % of image": 100 * lung.mean()}
    rows["components per slice"] = cv2.connectedComponents(mask.astype(np.uint8))[0] - 1
    detail = _high_pass(image)
    inner = cv2.erode(healthy.astype(np.uint8), np.ones((5, 5))) > 0
    if inner.sum() > MIN_LUNG_PX:
        dark = inner & (image < np.median(image[inner]))  # leaves the vessels out
        rows["lung noise std"] = detail[dark].std()
    if healthy.sum() < MIN_LUNG_PX or mask.sum() < MIN_LESION_PX:
        return rows
    rows["lung grey"] = np.percentile(image[healthy], PERCENTILES)
    rows["lesion grey"] = np.percentile(image[mask], PERCENTILES)
    rows["lesion - lung median"] = np.median(image[mask]) - np.median(image[healthy])
    rows["lesion texture std"] = detail[mask].std()
    rows["lesion grey std"] = image[mask].std()
    smooth = cv2.GaussianBlur(image, (0, 0), 1.0)
    slope = np.hypot(
        cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=1 / 8),
        cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=1 / 8),
    )
    wide = mask.astype(np.uint8)
    border = (cv2.dilate(wide, np.ones((3, 3))) != cv2.erode(wide, np.ones((3, 3)))) & (
        cv2.erode(lung.astype(np.uint8), np.ones((7, 7))) > 0
    )
    if border.sum() > 10:
        rows["slope on lesion border / px"] = slope[border].mean()
    return rows


def _body_rows(image: np.ndarray) -> dict[str, object]:
    """Figures of any slice: grey levels of all pixels and the place of the body."""
    bright = image > BODY_GREY
    y, x = np.nonzero(bright)
    return {
        "image grey": np.percentile(image, PERCENTILES),
        "body area, % of image": 100 * bright.mean(),
        "body centre x, y / %": 100 * np.array([x.mean(), y.mean()]) / image.shape[0],
    }


def slice_statistics(root: Path, split: str) -> dict[str, object]:
    """Mean figures over the slices of one split; grey levels are 0..255, areas px.

    Args:
        root: Folder with <split>/image, mask and lung.
        split: Name of the split.

    Returns:
        Name to number, or to an array of percentiles 5, 25, 50, 75, 95.

    Raises:
        UserError: The split has no image.
    """
    paths = sorted((Path(root) / split / "image").glob("*.png"))
    if not paths:
        raise UserError(
            f"{Path(root) / split / 'image'}: no images; name a data folder, and a split of it"
        )
    rows: dict[str, list] = {}
    areas = []
    for path in paths:
        image = _read(path).astype(np.float32)
        mask = _read(path.parents[1] / "mask" / path.name) > 0
        lung = _read(path.parents[1] / "lung" / path.name)
        areas.append(int(mask.sum()))
        found = _body_rows(image)
        if mask.any() and lung is not None:
            found |= _lesion_rows(image, mask, lung > 0)
        for name, value in found.items():
            rows.setdefault(name, []).append(value)
    areas = np.array(areas)
    empty = 100 * (areas == 0).mean()
    result: dict[str, object] = {"slices": len(paths), "without lesion, %": empty}
    if areas.any():
        result["lesion area, px"] = np.percentile(areas[areas > 0], PERCENTILES)
    return result | {name: np.mean(values, axis=0) for name, values in rows.items()}


def _text(value: object) -> str:
    return " ".join(f"{number:.4g}" for number in np.round(np.atleast_1d(value), 1))


def main() -> None:
    """Print the sets side by side."""
    parser = create_parser(
        "What the slices of a set look like in numbers: grey levels, lesions, noise, position.",
        "python -m preparation.overview.statistics data/synthetic data/mine",
    )
    parser.prog = "python -m preparation.overview.statistics"
    parser.add_argument("roots", nargs="+", type=Path, metavar="DIR", help="data folders")
    parser.add_argument("--split", default="train", help="of each (default: train)")
    options = parser.parse_args()
    columns = [slice_statistics(root, options.split) for root in options.roots]
    names = list(dict.fromkeys(name for column in columns for name in column))
    print(" | ".join(["percentiles 5 25 50 75 95", *(root.name for root in options.roots)]))
    for name in names:
        cells = [_text(column[name]) if name in column else "-" for column in columns]
        print(" | ".join([name, *cells]))


if __name__ == "__main__":
    run_main(main)
