"""Imports go one way, from the commands at the top of the house down to utils."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
# From top to bottom; a room imports from lower floors and from itself.
FLOORS = (
    ("train", "test", "predict", "prepare", "sweep"),
    ("sweeps",),
    ("benchmark",),
    ("evaluation", "inference"),
    ("training", "preparation", "severity"),
    ("models", "losses", "datasets", "figures"),
    ("metrics",),
    ("utils",),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
# Everything else gets plain arguments: the configuration is taken apart in training/builders.py.
ROOMS_WITH_CONFIG = {
    *FLOORS[0],
    "sweeps",
    "benchmark",
    "evaluation",
    "inference",
    "training",
    "utils",
}
SOURCES = sorted(
    path
    for room in FLOOR
    for path in (REPOSITORY / f"{room}.py", *(REPOSITORY / room).rglob("*.py"))
    if path.is_file()
)


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything that a file imports, wherever the import stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def room_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).parts[0].removesuffix(".py")


def climbs(path: Path) -> list[str]:
    """The imports of a file that lead up or across."""
    room, found = room_of(path), []
    for line, name in imported(path):
        other = name.partition(".")[0]
        if other in FLOOR and other != room and FLOOR[other] <= FLOOR[room]:
            where = path.relative_to(REPOSITORY)
            found.append(f"{where}:{line}: {room} (floor {FLOOR[room]}) climbs to {name}")
    return found


def test_every_folder_of_code_is_a_room() -> None:
    folders = {p.parent.name for p in REPOSITORY.glob("*/__init__.py")}
    assert folders | {p.stem for p in REPOSITORY.glob("*.py")} == set(FLOOR)


def test_no_import_climbs() -> None:
    found = [climb for path in SOURCES for climb in climbs(path)]
    assert not found, "\n" + "\n".join(found)


def test_no_room_below_training_names_the_config() -> None:
    found = [
        f"{path.relative_to(REPOSITORY)}:{line}: {name}"
        for path in SOURCES
        if room_of(path) not in ROOMS_WITH_CONFIG
        for line, name in imported(path)
        if name.startswith("utils.config")
    ]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("utils/files.py", "def f():\n    from training.step import TrainingStep\n"),
        ("evaluation/cases.py", "import inference.model\n"),
        ("datasets/cache.py", "from models import create_model\n"),
    ],
)
def test_a_climb_is_found_with_file_and_target(
    place: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("test_layers.REPOSITORY", tmp_path)
    path = tmp_path / place
    path.parent.mkdir()
    path.write_text(text)
    (found,) = climbs(path)
    assert found.startswith(place)
    assert " climbs to " in found
