"""From a YAML file, experiment files and --set pairs to one validated Config."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from utils.config import Config, known_keys
from utils.errors import UserError, suggestion
from utils.files import whole_file
from utils.messages import shown
from utils.yaml_source import load_yaml, parse_scalar

RESOURCES = Path(__file__).resolve().parent.parent / "resources"
DEFAULT_CONFIG = RESOURCES / "train_config.yaml"
EXPERIMENTS = RESOURCES / "experiments"
# Below these keys any name may stand: constructors validate them.
_FREE_KEYS = ("model.args", "guide.args", "loss.args", "data.classes")
_SELECTORS = ("model.name", "guide.name", "loss.function")


def load_config(
    path: Path = DEFAULT_CONFIG, experiments: Sequence[str] = (), overrides: Sequence[str] = ()
) -> Config:
    """Resolve a configuration; later sources win over earlier ones.

    Args:
        path: The YAML file with every key.
        experiments: Names of files in resources/experiments, without .yaml.
        overrides: 'a.b=value' pairs of --set.

    Raises:
        UserError: An unknown or misplaced key, a wrong type or range; names the dotted key, its
            file and line where there is one, and the nearest known key.
    """
    values, lines = load_yaml(path)
    origins = {"": f"{path}: "} | {key: f"{path}:{line}: " for key, line in lines.items()}
    _check_keys(lines, origins)
    for name in experiments:
        experiment = _experiment_path(name)
        changes, lines = load_yaml(experiment)
        changed = {key: f"{experiment}:{line}: " for key, line in lines.items()}
        _check_keys(lines, changed)
        _drop_stale_args(values, changes)
        _merge(values, changes)
        origins |= changed
    # The network and the loss first: choosing them drops the args of the former ones.
    parsed = [_parse_override(override) for override in overrides]
    for key, changes in sorted(parsed, key=lambda pair: pair[0] not in _SELECTORS):
        _check_keys([key], {key: "--set "})
        _drop_stale_args(values, changes)
        _merge(values, changes)
        origins[key] = "--set "
    return validate_config(values, origins)


def validate_config(values: dict[str, Any], origins: dict[str, str] | None = None) -> Config:
    """A Config of plain values.

    Args:
        values: Nested plain values.
        origins: What to say before a dotted key that is wrong, such as its file and line; ''
            stands for keys without a parent there.

    Raises:
        UserError: The first thing wrong, and how many more there are.
    """
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        errors = error.errors()
        location = [str(part) for part in errors[0]["loc"]]
        key = ".".join(part for part in location if not part.isdigit())
        origin = next((o for k in _parents(key) if (o := (origins or {}).get(k)) is not None), "")
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        if errors[0]["type"] == "missing":
            raise UserError(f"{origin}{key}: missing; add it{more}") from error
        if errors[0]["type"] == "extra_forbidden":
            raise UserError(
                f"{origin}{key}: unknown key{_nearest_key(key, known_keys())}{more}"
            ) from error
        given, reason = errors[0]["input"], errors[0]["msg"].removeprefix("Value error, ")
        if errors[0]["type"] == "model_type":
            reason = "must be a section with keys of its own"
        raise UserError(f"{origin}{key}: {reason}, not {shown(given)}{more}") from error


def restore_config(values: dict[str, Any], path: Path) -> Config:
    """The configuration of a checkpoint; a key that is newer than the file takes its default.

    Raises:
        UserError: As validate_config; names the checkpoint, `path`.
    """
    complete = load_yaml(DEFAULT_CONFIG)[0]
    for section in ("model", "loss"):
        complete[section]["args"] = {}
    _merge(complete, values)
    return validate_config(complete, {"": f"{path}: "})


def override_config(
    config: Config,
    overrides: Sequence[str],
    allowed: Sequence[str],
    refusal: str = "the checkpoint decides it; train again to change it",
) -> Config:
    """A configuration with --set pairs applied, as far as they are allowed.

    Args:
        config: A resolved configuration, such as a checkpoint's.
        overrides: 'a.b=value' pairs of --set.
        allowed: Beginnings of the dotted keys that may change.
        refusal: Why the others may not.

    Raises:
        UserError: As load_config, or a key that may not change.
    """
    values, origins = config.model_dump(mode="json"), {}
    for override in overrides:
        key, changes = _parse_override(override)
        origins[key] = "--set "
        _check_keys([key], origins)
        if not key.startswith(tuple(allowed)):
            raise UserError(f"--set {key}: {refusal}")
        _merge(values, changes)
    return validate_config(values, origins)


def save_config(config: Config, path: Path) -> None:
    """Write a resolved configuration as YAML that load_config reads back to an equal one.

    Under a temporary name first: a full disk must not empty the file of a run that goes on.
    """
    with whole_file(path) as file:
        file.write_text(dump_config(config), encoding="utf-8")


def dump_config(config: Config) -> str:
    """A resolved configuration as YAML."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def list_experiments() -> list[str]:
    """The names that --experiment takes."""
    files = EXPERIMENTS.rglob("*.yaml")
    return sorted(file.relative_to(EXPERIMENTS).with_suffix("").as_posix() for file in files)


def _experiment_path(name: str) -> Path:
    """The file of an experiment."""
    known = list_experiments()
    if name not in known:
        raise UserError(
            f"--experiment: there is no {name!r}{suggestion(name, known)}; "
            f"known: {', '.join(known)}"
        )
    return EXPERIMENTS / f"{name}.yaml"


def _parse_override(override: str) -> tuple[str, dict[str, Any]]:
    """'a.b=value' as its key and a nested mapping."""
    key, separator, text = override.partition("=")
    if not separator or not all(key.split(".")):
        raise UserError(f"--set {override}: write it as section.key=value")
    changes: Any = parse_scalar(text, key)
    for part in reversed(key.split(".")):
        changes = {part: changes}
    return key, changes


def _merge(values: dict[str, Any], changes: dict[str, Any]) -> None:
    """Put changes into values, mapping by mapping."""
    for key, change in changes.items():
        if isinstance(change, dict) and isinstance(values.get(key), dict):
            _merge(values[key], change)
        else:
            values[key] = change


def _drop_stale_args(values: dict[str, Any], changes: dict[str, Any]) -> None:
    """Another model.name or loss.function starts from its own defaults, not the former's args.

    Classes by name take the place of the former ones, and do not join them.
    """
    sections = values.get("data"), changes.get("data")
    if all(isinstance(section, dict) for section in sections) and "classes" in sections[1]:
        sections[0]["classes"] = None
    for section, selector in (("model", "name"), ("guide", "name"), ("loss", "function")):
        old, new = values.get(section), changes.get(section)
        if not (isinstance(old, dict) and isinstance(new, dict)):
            continue
        if new.get(selector, old.get(selector)) != old.get(selector):
            old["args"] = {}


def _check_keys(keys: Sequence[str] | dict[str, int], origins: dict[str, str]) -> None:
    """Refuse a key that does not exist, naming the one that was meant."""
    known = known_keys()
    for key in keys:
        if key not in known and not key.startswith(tuple(f"{free}." for free in _FREE_KEYS)):
            everything = [*known, *load_yaml(DEFAULT_CONFIG)[1]]  # with the default args
            raise UserError(f"{origins[key]}{key}: unknown key{_nearest_key(key, everything)}")


def _nearest_key(key: str, known: Sequence[str]) -> str:
    """The known key whose path or leaf is nearest, as a question; '' where none is near."""
    leaf = key.rsplit(".", 1)[-1]
    same_leaf = [name for name in known if name.rsplit(".", 1)[-1] == leaf]
    near_path = difflib.get_close_matches(key, known, n=1, cutoff=0.75)
    leaves = {name.rsplit(".", 1)[-1]: name for name in known}
    near_leaf = [leaves[n] for n in difflib.get_close_matches(leaf, leaves, n=1, cutoff=0.7)]
    for nearest in (*same_leaf, *near_path, *near_leaf):
        return f", did you mean {nearest}?"
    return f"; the sections are {', '.join(Config.model_fields)}"


def _parents(key: str) -> list[str]:
    """A dotted key, then its parents: 'a.b' gives 'a.b', 'a', ''."""
    parts = key.split(".")
    return [".".join(parts[:end]) for end in range(len(parts), -1, -1)]


def changed_keys(before: Config, after: Config) -> list[str]:
    """The dotted keys in which two configurations differ."""
    old, new = flatten(before.model_dump(mode="json")), flatten(after.model_dump(mode="json"))
    return sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested plain values under dotted keys."""
    flat = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
