"""The runs of a sweep: rows x data sets x seeds, each with its settings and its folder."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sweeps.specification import Settings, Size, Sweep, read_sizes
from training.run_folder import RunFolder
from utils.config import Config
from utils.config_loader import DEFAULT_CONFIG, load_config
from utils.errors import UserError

OUT = Path("checkpoint") / "sweeps"
_DATA = Path("data")


class Run(NamedTuple):
    """One training run with its score.

    Attributes:
        sweep: The sweep's name.
        size: tiny, small or paper.
        row: The row's name in the sweep, and the name of the experiment's folder.
        data: Name of the data set.
        config: Resolved; its seed is the run's.
    """

    sweep: str
    size: Size
    row: str
    data: str
    config: Config

    @property
    def seed(self) -> int:
        return self.config.training.seed

    @property
    def folder(self) -> RunFolder:
        return RunFolder.of(self.config.checkpoint.save_dir, self.row, self.seed)

    @property
    def config_file(self) -> Path:
        """Where the settings are kept that the seeds of a row have in common."""
        return Path(self.config.checkpoint.save_dir) / f"{self.row}.yaml"

    @property
    def name(self) -> str:
        """Such as table5 add coronacases10 seed2."""
        return f"{self.sweep} {self.row} {self.data} seed{self.seed}"


def plan_sweep(
    name: str,
    sweep: Sweep,
    size: Size,
    *,
    out: Path = OUT,
    roots: Mapping[str, Path] | None = None,
    overrides: Sequence[str] = (),
) -> list[Run]:
    """The runs of a sweep at a size: every row with the first seed, then all with the next.

    Args:
        name: The sweep's.
        sweep: Its rows.
        size: Which of its sizes.
        out: Where runs are kept: <out>/<name>/<size>/<data>/<row>/seed<k>.
        roots: Folders of data sets by name; data/<name> for all others.
        overrides: 'a.b=value' pairs for all runs.

    Raises:
        UserError: As load_config, with the row's name; or a size without data or seeds.
    """
    shared = read_sizes()[size], getattr(sweep, size)
    data, seeds = (_last(shared, sweep.base, key) for key in ("data", "seeds"))
    runs = []
    for row, own in sweep.rows.items():
        for data_name in getattr(own, size).data or data:
            root = (roots or {}).get(data_name, _DATA / data_name)
            folder = out / name / size / data_name
            common = [*overrides, f"data.root={json.dumps(str(root))}"]
            common.append(f"checkpoint.save_dir={json.dumps(str(folder))}")
            config = _resolve(sweep, row, shared, size, common)
            for seed in seeds:
                training = config.training.model_copy(update={"seed": seed})
                seeded = config.model_copy(update={"training": training})
                runs.append(Run(name, size, row, data_name, seeded))
    _refuse_doubles(runs)
    return sorted(runs, key=lambda run: seeds.index(run.seed))


def _last(shared: Sequence[Settings], base: Settings, key: str) -> list[Any]:
    """Data or seeds: the sweep's at this size, then the sweep's, then those of all sweeps."""
    of_all, of_size = (getattr(settings, key) for settings in shared)
    found = of_size or getattr(base, key) or of_all
    if not found:
        raise UserError(f"no {key} at this size; name some in the sweep's YAML")
    return found


def _resolve(
    sweep: Sweep, row: str, shared: Sequence[Settings], size: Size, common: Sequence[str]
) -> Config:
    """The configuration of a row; what is nearer to the row wins."""
    own = sweep.rows[row]
    of_all, of_size = shared
    layers = (of_all, sweep.base, of_size, own, getattr(own, size))
    experiments = [name for layer in layers for name in layer.experiments]
    values = {key: value for layer in layers for key, value in layer.set.items()}
    pairs = [f"{key}={json.dumps(value)}" for key, value in values.items()]
    try:
        return load_config(DEFAULT_CONFIG, experiments, [*pairs, *common])
    except UserError as error:
        raise UserError(f"row {row}: {error}") from error


def _refuse_doubles(runs: Sequence[Run]) -> None:
    """Two runs that would write the same folder."""
    folders: dict[Path, Run] = {}
    for run in runs:
        path = run.folder.path
        if path in folders:
            raise UserError(
                f"{path}: two runs would write it ({folders[path].name}; {run.name}); name every "
                "seed and data set once"
            )
        folders[path] = run


def check_plans(plans: Sequence[Sequence[Run]]) -> list[Run]:
    """The runs of several sweeps together.

    Raises:
        UserError: Two sweeps would write the same folder.
    """
    runs = [run for plan in plans for run in plan]
    _refuse_doubles(runs)
    return runs
