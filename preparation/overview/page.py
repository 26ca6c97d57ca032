"""The fingerprint as one HTML page that refers to nothing outside of itself."""

import base64
from pathlib import Path
from typing import Any

import cv2
from markupsafe import Markup

from figures.charts import figure_to_svg
from figures.page_template import load_template
from preparation.overview.charts import draw_charts
from preparation.overview.fingerprint import Fingerprint
from preparation.overview.tables import make_patient_table, make_tables
from utils.files import whole_file
from utils.messages import count

_TEMPLATE = Path(__file__).resolve().parent / "templates" / "fingerprint.html.jinja"
_JPEG_QUALITY = 85
_UNKNOWN = {
    "name": "–",
    "title": "Unknown source",
    "licence": "unknown",
    "citation": "unknown; the folder has no dataset.json",
}


def write_page(path: Path, fingerprint: Fingerprint, montage: Path) -> None:
    """Write the page.

    Args:
        path: Of the page.
        fingerprint: What stands on it.
        montage: An image that the page takes in.

    Raises:
        UserError: The disk is full or read-only.
    """
    plain = fingerprint.to_plain()
    text = load_template(_TEMPLATE).render(
        title=fingerprint.title,
        subtitle=_describe_size(plain),
        sources=_sources(fingerprint),
        facts=_facts(plain),
        tables=make_tables(plain),
        charts=[
            {
                "title": chart.title,
                "svg": Markup(figure_to_svg(chart.figure)),
                "caption": chart.caption,
            }
            for chart in draw_charts(fingerprint)
        ],
        montage=_embed(montage),
        patients=make_patient_table(plain["patients"]),
    )
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _describe_size(plain: dict[str, Any]) -> str:
    """The folder in a line."""
    whole = plain["parts"]["all"]
    text = (
        f"{count(whole['num_slices'], 'slice')} of {count(whole['num_patients'], 'patient')} in "
        f"{count(len(plain['parts']) - 1, 'split')}, {whole['num_with_lesion']:,} with lesion"
    )
    if plain["num_unlabelled"]:
        text += f"; {plain['num_unlabelled']:,} more without labels, left out of all that follows"
    return f"{text}."


def _sources(fingerprint: Fingerprint) -> list[dict[str, str]]:
    """Licence and citation of every source."""
    if fingerprint.card is None:
        return [_UNKNOWN]
    return [source._asdict() for source in fingerprint.card.sources]


def _facts(plain: dict[str, Any]) -> list[tuple[str, str]]:
    """How the images are stored."""
    rule, sizes = plain["intensity"], plain["parts"]["all"]["slices_per_size"]
    if rule is None:
        window = "unknown: nobody says which values became which grey levels"
    else:
        window = f"{rule['low']:g} to {rule['high']:g}, in {rule['unit']}, from black to white"
    listed = ", ".join(size.replace("x", " × ") for size in list(sizes)[:3])
    more = f" and {len(sizes) - 3} more" if len(sizes) > 3 else ""
    return [
        ("Window", window),
        ("Depth", f"{plain['bits']} bits"),
        ("Size", f"{listed}{more} px"),
        ("Classes", ", ".join(plain["labels"].values()) or "lesion or not"),
    ]


def _embed(montage: Path) -> str:
    """A smaller copy of the image as a data address."""
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    image = cv2.imread(str(montage))
    packed = cv2.imencode(".jpg", image, options)[1]
    return f"data:image/jpeg;base64,{base64.b64encode(packed.tobytes()).decode('ascii')}"
