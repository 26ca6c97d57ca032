"""A finished data folder, described for the eye and for programs."""

import warnings
from pathlib import Path

from preparation.overview.fingerprint import Fingerprint, take_fingerprint, to_json
from utils.files import whole_file

JSON_FILE, PAGE_FILE, MONTAGE_FILE = "fingerprint.json", "fingerprint.html", "montage.png"


def describe_folder(root: Path, out: Path | None = None) -> Fingerprint:
    """Write fingerprint.json, fingerprint.html and montage.png.

    Every slice is read once, a few ahead in threads, so memory grows by a few numbers per slice.
    The same folder gives the same files.

    Args:
        root: The data folder: <split>/{image,mask} and, where there are, label, lung, manifest.csv
            and dataset.json.
        out: An existing folder to write to; None writes to root.

    Raises:
        UserError: The folder holds no split, a file is damaged or lacks its partner, or the disk
            is full.
    """
    # They draw, and what they draw with takes seconds to import.
    from preparation.overview.montage import write_montage
    from preparation.overview.page import write_page

    out = root if out is None else out
    fingerprint = take_fingerprint(root)
    with whole_file(out / JSON_FILE) as path:
        path.write_text(to_json(fingerprint), encoding="utf-8")
    with warnings.catch_warnings():
        # A name in a script that the font lacks is drawn in boxes; it stands in the JSON as it is.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        write_montage(out / MONTAGE_FILE, fingerprint)
        write_page(out / PAGE_FILE, fingerprint, out / MONTAGE_FILE)
    return fingerprint
