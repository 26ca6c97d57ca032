"""What the readers of chest X-rays have in common."""

from datasets.card import X_RAY
from datasets.image_io import IMAGE_SUFFIXES
from datasets.sources.file_tree import FileTree, FoundFile
from datasets.sources.source import Source

# px: detectors have 2,000 to 4,000, which take long to read and which no network here sees.
MAX_SIDE = 1024


def radiograph_source(**fields: object) -> Source:
    """A source of chest X-rays: no Hounsfield scale, and no larger than MAX_SIDE."""
    return Source(**fields, intensity=None, modality=X_RAY, max_side=MAX_SIDE)


def images_below(tree: FileTree, *folders: str) -> list[FoundFile]:
    """The images whose folders end with these, whatever their case and where the last one lies.

    Args:
        tree: All files.
        folders: Names from the outermost to the one that holds the images.
    """
    wanted = tuple(name.lower() for name in folders)
    return [
        file
        for file in tree.with_suffix(*IMAGE_SUFFIXES)
        if tuple(part.lower() for part in file.place.parts[:-1])[-len(wanted) :] == wanted
    ]
