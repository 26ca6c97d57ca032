"""The YAML of a sweep: the rows of a table, what they share, and its three sizes."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from metrics.registry import METRICS, dice_variants
from utils.config import Args
from utils.config_loader import RESOURCES
from utils.errors import UserError, suggestion
from utils.messages import shown
from utils.yaml_source import load_yaml

SWEEPS = RESOURCES / "sweeps"
SIZES_FILE = RESOURCES / "sweep_sizes.yaml"
Size = Literal["tiny", "small", "paper"]
SIZES: tuple[Size, ...] = get_args(Size)
# A folder's name on every system.
_NAME = re.compile(r"[a-z0-9][a-z0-9_.+-]*")


Printed = Annotated[list[float], Field(min_length=1, max_length=2)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Settings(_Part):
    """What a run is made of beside the default configuration.

    Attributes:
        experiments: Files of resources/experiments, later ones winning.
        set: Values by dotted key, after all experiments.
        data: Names of data sets, folders of data/.
        seeds: Of the runs.
    """

    experiments: list[str] = []
    set: Args = {}
    data: list[str] | None = None
    seeds: list[Annotated[int, Field(ge=0, lt=2**31)]] | None = None


class Row(_Part):
    """One row of a table.

    Attributes:
        title: As printed.
        printed: What the source prints, by metric: mean and standard deviation in per cent, or the
            mean alone.
        tiny: What differs at that size alone; so with small and paper.
    """

    title: str
    experiments: list[str] = []
    set: Args = {}
    printed: dict[str, Printed] = {}
    tiny: Settings = Settings()
    small: Settings = Settings()
    paper: Settings = Settings()


class Sweep(_Part):
    """A sweep, as its file has it.

    Attributes:
        title: Of the table.
        source: Where its printed values are from.
        table: The name of the table in that source.
        baseline: The row that the others are compared with.
        metrics: The columns.
        ceiling: The row that shows what is to be had; a table says how much of the way to it from
            the baseline each row goes.
        figures: The rows of figures 6, 7 and 8; all where none is named.
        note: What a reader of the table must know of its printed values.
        base: What all rows share.
        rows: By name.
        tiny: What all rows share at that size, after resources/sweep_sizes.yaml.
    """

    title: str
    source: str
    table: str
    baseline: str
    metrics: Annotated[list[str], Field(min_length=1)]
    ceiling: str | None = None
    figures: list[str] = []
    note: str = ""
    base: Settings = Settings()
    rows: Annotated[dict[str, Row], Field(min_length=1)]
    tiny: Settings = Settings()
    small: Settings = Settings()
    paper: Settings = Settings()


class _Sizes(_Part):
    tiny: Settings
    small: Settings
    paper: Settings


def sweep_path(text: str) -> Path:
    """The file of a sweep: the name of one in `resources/sweeps`, or a path."""
    return SWEEPS / f"{text}.yaml" if text in list_sweeps() else Path(text)


def read_sweep(path: Path) -> Sweep:
    """A sweep, checked in itself; its experiments and keys are checked by the plan.

    Raises:
        UserError: No such file, an unknown or wrong key; names file, line and key.
    """
    if not path.is_file():
        known = list_sweeps()
        hint = suggestion(path.stem, known)
        raise UserError(f"{path}: no such sweep{hint}; in {SWEEPS} are {', '.join(known)}")
    values, lines = load_yaml(path)
    sweep = _validate(Sweep, _inherit(values, path, lines), path, lines)
    places = [(name, f"rows.{name}", "row") for name in sweep.rows]
    for part in (
        sweep.base,
        *(getattr(r, size) for r in (sweep, *sweep.rows.values()) for size in SIZES),
    ):
        places += [(data, "data", "data set") for data in part.data or []]
    for name, key, kind in [*places, (path.stem, "", "sweep")]:
        if not _NAME.fullmatch(name):
            raise UserError(
                f"{_place(path, lines, key)}the {kind} {name!r} names a folder; take small letters,"
                " digits, _ . + and -"
            )
    named = [("baseline", sweep.baseline), *(("figures", name) for name in sweep.figures)]
    for key, name in [*named, *[("ceiling", sweep.ceiling)] * bool(sweep.ceiling)]:
        if name not in sweep.rows:
            hint = suggestion(name, sweep.rows)
            raise UserError(f"{_place(path, lines, key)}no row {name!r}{hint}")
    columns = {*METRICS, *dice_variants()}
    for key in sweep.metrics:
        if key not in columns:
            hint = suggestion(key, columns)
            raise UserError(f"{_place(path, lines, 'metrics')}no metric {key!r}{hint}")
    return sweep


def _inherit(values: dict[str, Any], path: Path, lines: dict[str, int]) -> dict[str, Any]:
    """The values with those of the sweep that `like` names, but for its printed ones.

    Of its rows those come along that stand in `rows`.
    """
    if "like" not in values:
        return values
    parent = path.parent / f"{values['like']}.yaml"
    if not parent.is_file():
        hint = suggestion(str(values["like"]), list_sweeps(path.parent))
        raise UserError(f"{_place(path, lines, 'like')}no sweep {values['like']!r}{hint}")
    theirs = load_yaml(parent)[0]
    rows = {
        name: {k: v for k, v in theirs["rows"].get(name, {}).items() if k != "printed"} | own
        for name, own in values["rows"].items()
    }
    sizes = {size: theirs.get(size, {}) | values.get(size, {}) for size in SIZES}
    kept = {key: value for key, value in values.items() if key != "like"}
    return {key: v for key, v in theirs.items() if key != "note"} | kept | sizes | {"rows": rows}


def read_sizes() -> dict[Size, Settings]:
    """What all sweeps share at a size."""
    values, lines = load_yaml(SIZES_FILE)
    sizes = _validate(_Sizes, values, SIZES_FILE, lines)
    return {size: getattr(sizes, size) for size in SIZES}


def list_sweeps(folder: Path = SWEEPS) -> list[str]:
    """The names of the sweeps of a folder; of those that come with the project."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def _validate(kind: type[_Part], values: dict[str, Any], path: Path, lines: dict[str, int]) -> Any:
    """Plain values as a part of a sweep, or what is wrong with the first one that is."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"] if not isinstance(part, int))
        place = _place(path, lines, key)
        if first["type"] == "missing":
            raise UserError(f"{place}{key}: missing; add it") from error
        if first["type"] == "extra_forbidden":
            leaf = key.rpartition(".")[2]
            known = {*Sweep.model_fields, *Row.model_fields, *Settings.model_fields}
            raise UserError(f"{place}{key}: unknown key{suggestion(leaf, known)}") from error
        reason = first["msg"].removeprefix("Value error, ")
        raise UserError(f"{place}{key}: {reason}, not {shown(first['input'])}") from error


def _place(path: Path, lines: dict[str, int], key: str) -> str:
    """File and line of a key, or of the nearest section around it."""
    while key and key not in lines:
        key = key.rpartition(".")[0]
    return f"{path}:{lines[key]}: " if key else f"{path}: "
