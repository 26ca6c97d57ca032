"""The configuration: what resolves, what it comes to, and what is said where it does not."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from utils import config_loader
from utils.config import known_keys
from utils.config_loader import (
    DEFAULT_CONFIG,
    changed_keys,
    flatten,
    list_experiments,
    load_config,
    override_config,
    save_config,
    validate_config,
)
from utils.errors import UserError

Write = Callable[[str, str], Path]


@pytest.fixture
def write_experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write experiment files into a folder that stands for resources/experiments."""
    monkeypatch.setattr(config_loader, "EXPERIMENTS", tmp_path / "experiments")

    def write(name: str, text: str) -> Path:
        path = tmp_path / "experiments" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def edit_base(tmp_path: Path) -> Write:
    """Write the base configuration with one text replaced."""

    def edit(old: str, new: str) -> Path:
        path = tmp_path / "edited.yaml"
        save_config(load_config(), path)
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1
        path.write_text(text.replace(old, new), encoding="utf-8")
        return path

    return edit


def line_of(path: Path, text: str) -> int:
    """The line, from 1, that starts with a text."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.startswith(text))


def refusal(*overrides: str, path: Path = DEFAULT_CONFIG, experiments: tuple[str, ...] = ()) -> str:
    """What load_config says when it refuses."""
    with pytest.raises(UserError) as caught:
        load_config(path, experiments, overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_base_file_is_the_papers_table_1() -> None:
    config = load_config()
    assert config.data.image_size == [256, 256]
    assert config.training.batch_size == 8
    assert config.optimizer.learning_rate == 1e-4
    assert config.scheduler.patience == 25
    assert config.scheduler.factor == 0.5
    assert config.early_stopping.patience == 25
    assert config.loss.function == "joint"
    assert config.loss.args == {"theta": 0.8, "beta": 0.4}
    assert set(config.data.augmentation.model_dump().values()) == {0.0}


@pytest.mark.parametrize("name", list_experiments())
def test_every_experiment_file_resolves_and_changes_something(name: str) -> None:
    assert changed_keys(load_config(), load_config(experiments=[name]))


def test_there_are_experiment_files() -> None:
    assert "quickstart" in list_experiments()


@pytest.mark.parametrize("text", ["1e-4", "1E-4", "1.e-3", "0.0001"])
def test_an_exponent_is_a_number_in_a_file_and_in_set(text: str, write_experiment: Write) -> None:
    write_experiment("rate", f"optimizer:\n  learning_rate: {text}\n")
    from_file = load_config(experiments=["rate"])
    from_set = load_config(overrides=[f"optimizer.learning_rate={text}"])
    assert from_file.optimizer.learning_rate == float(text)
    assert from_set.optimizer.learning_rate == float(text)


def test_a_negative_exponent_number_is_out_of_range_rather_than_text() -> None:
    message = refusal("optimizer.learning_rate=-1e-4")
    assert message.startswith("--set optimizer.learning_rate: ")
    assert "greater than 0" in message
    assert message.endswith("not -0.0001")


def test_one_side_of_image_size_means_a_square() -> None:
    assert load_config(overrides=["data.image_size=64"]).data.image_size == [64, 64]
    assert load_config(overrides=["data.image_size=[64, 96]"]).data.image_size == [64, 96]


@pytest.mark.parametrize(
    ("override", "answer"),
    [
        ("learning_rate=1", "learning_rate: unknown key, did you mean optimizer.learning_rate?"),
        (
            "training.learning_rate=1",
            "training.learning_rate: unknown key, did you mean optimizer.learning_rate?",
        ),
        (
            "optimizer.learning_rat=1",
            "optimizer.learning_rat: unknown key, did you mean optimizer.learning_rate?",
        ),
        (
            "optimizer={learning_rat: 1.0}",
            "optimizer.learning_rat: unknown key, did you mean optimizer.learning_rate?",
        ),
        (
            "optimiser.learning_rate=1",
            "optimiser.learning_rate: unknown key, did you mean optimizer.learning_rate?",
        ),
        ("trainig.epochs=1", "trainig.epochs: unknown key, did you mean training.epochs?"),
        ("data.root.x=1", "data.root.x: unknown key, did you mean data.root?"),
        ("zzz=1", "zzz: unknown key; the sections are data, model, loss, optimizer, scheduler, "),
        ("training.epochs", "training.epochs: write it as section.key=value"),
        ("=5", "=5: write it as section.key=value"),
        ("training..epochs=5", "training..epochs=5: write it as section.key=value"),
    ],
)
def test_a_wrong_set_key_is_answered_with_the_nearest_one(override: str, answer: str) -> None:
    assert refusal(override).startswith(f"--set {answer}")


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("training.epochs=5.5", "valid integer"),
        ("training.epochs=five", "valid integer"),
        ("training.epochs=true", "valid integer"),
        ("training.epochs=", "valid integer"),
        ("optimizer.learning_rate='1e-3'", "valid number"),
        ("training.channels_last=1", "valid boolean"),
        ("data.root=5", "valid string"),
        ("data.image_size=[256]", "give one side, or [height, width]"),
        ("data.image_size=wide", "valid list"),
        ("data=5", "must be a section with keys of its own"),
        ("training.device=gpu", "'auto', 'cpu' or 'cuda'"),
        ("training.epochs=0", "greater than or equal to 1"),
        ("evaluation.threshold=1", "less than 1"),
        ("optimizer.learning_rate=.inf", "finite"),
        ("optimizer.learning_rate=.nan", "finite"),
        ("data.image_size=[256, 16]", "greater than or equal to 32"),
        ("data.lesion_values=[0]", "greater than or equal to 1"),
        ("data.augmentation.rotation=181", "less than or equal to 180"),
        ("data.augmentation.horizontal_flip=-0.1", "greater than or equal to 0"),
    ],
)
def test_a_value_of_wrong_type_or_range_is_refused_with_its_key(override: str, reason: str) -> None:
    message = refusal(override)
    assert message.startswith(f"--set {override.split('=')[0]}: ")
    assert reason in message


def test_several_wrong_values_are_counted() -> None:
    message = refusal("training.epochs=0", "training.seed=-1", "evaluation.batch_size=0")
    assert message.endswith("(and 2 more)")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "# a typo\noptimizer:\n  learning_rat: 1e-3\n",
            ":3: optimizer.learning_rat: unknown key, did you mean optimizer.learning_rate?",
        ),
        ("epochs: 5\n", ":1: epochs: unknown key, did you mean training.epochs?"),
        (
            "data:\n  root: x\nschedular:\n  factor: 0.1\n",
            ":3: schedular: unknown key, did you mean scheduler?",
        ),
        ("training:\n  epochs: many\n", ":2: training.epochs: Input should be a valid integer"),
        ("training:\n\n  epochs: 0\n", ":3: training.epochs: Input should be greater than or"),
        ("data:\n  image_size: [256, 0]\n", ":2: data.image_size: Input should be greater"),
        ("\ntraining: 5\n", ":2: training: must be a section with keys of its own, not 5"),
        ("training:\n", ":1: training: must be a section with keys of its own, not None"),
        ("data:\n  root: a\n  root: b\n", ":3: data.root stands twice (first on line 2)"),
        ("- data\n", ": must be a mapping of sections"),
        ("data: [1\ntraining: 2\n", ":2: "),
    ],
    ids=[
        *("misspelt", "misplaced", "section misspelt", "wrong type", "out of range"),
        *("item out of range", "scalar for section", "empty section", "twice"),
        *("no mapping", "broken"),
    ],
)
def test_a_mistake_in_an_experiment_file_is_refused_with_file_and_line(
    text: str, message: str, write_experiment: Write
) -> None:
    path = write_experiment("wrong", text)
    assert refusal(experiments=("wrong",)).startswith(f"{path}{message}")


def test_a_mistake_in_the_base_file_is_refused_with_file_and_line(edit_base: Write) -> None:
    path = edit_base("epochs: 400", "epochs: -400")
    message = refusal(path=path)
    assert message.startswith(f"{path}:{line_of(path, '  epochs:')}: training.epochs: ")
    assert message.endswith("not -400")


def test_a_missing_key_is_refused_with_the_line_of_its_section(edit_base: Write) -> None:
    path = edit_base("  factor: 0.5\n", "")
    line = line_of(path, "scheduler:")
    assert refusal(path=path) == f"{path}:{line}: scheduler.factor: missing; add it"


def test_a_missing_section_is_refused_with_the_file(edit_base: Write) -> None:
    path = edit_base("checkpoint:\n  save_dir: checkpoint\n", "")
    assert refusal(path=path) == f"{path}: checkpoint: missing; add it"


def test_an_empty_file_is_refused_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.yaml"
    path.touch()
    assert refusal(path=path) == f"{path}: data: missing; add it (and 9 more)"  # 10 sections


def test_a_misspelt_top_level_section_of_the_base_file_is_suggested(edit_base: Write) -> None:
    path = edit_base("\ntraining:\n", "\ntrainig:\n")
    line = line_of(path, "trainig:")
    expected = f"{path}:{line}: trainig: unknown key, did you mean training?"
    assert refusal(path=path) == expected


def test_an_unknown_experiment_is_answered_with_the_nearest_and_all_names(
    write_experiment: Write,
) -> None:
    write_experiment("fast", "{}")
    write_experiment("table3/first", "{}")
    message = refusal(experiments=("fastt",))
    expected = "--experiment: there is no 'fastt', did you mean fast?; known: fast, table3/first"
    assert message == expected


def test_later_experiments_win_over_earlier_ones_and_set_over_all(write_experiment: Write) -> None:
    write_experiment("one", "training: {epochs: 11, batch_size: 1}\nloss: {args: {theta: 0.1}}\n")
    write_experiment("two", "training: {epochs: 22, seed: 2}\nloss: {args: {beta: 0.2}}\n")
    forward, backward = (
        load_config(experiments=names) for names in (["one", "two"], ["two", "one"])
    )
    assert (forward.training.epochs, backward.training.epochs) == (22, 11)
    for config in (forward, backward):
        assert (config.training.batch_size, config.training.seed) == (1, 2)
        assert config.loss.args == {"theta": 0.1, "beta": 0.2}
    overrides = ["training.epochs=33", "training.epochs=44"]
    assert load_config(experiments=["one"], overrides=overrides).training.epochs == 44


def test_another_model_or_loss_drops_the_formers_arguments(write_experiment: Write) -> None:
    base = load_config()
    assert base.model.args
    assert base.loss.args
    write_experiment("net", "model:\n  name: unet\n  args: {width: 8}\n")
    write_experiment("dice", "loss: {function: dice}\n")
    config = load_config(experiments=["net", "dice"])
    assert (config.model.name, config.model.args) == ("unet", {"width": 8})
    assert (config.loss.function, config.loss.args) == ("dice", {})
    config = load_config(overrides=["model.name=unet", "loss.function=dice"])
    assert (config.model.args, config.loss.args) == ({}, {})


def test_the_same_model_or_loss_by_name_keeps_its_arguments(write_experiment: Write) -> None:
    base = load_config()
    write_experiment("same", f"model: {{name: {base.model.name}, args: {{width: 8}}}}\n")
    config = load_config(experiments=["same"], overrides=[f"loss.function={base.loss.function}"])
    assert config.model.args == base.model.args | {"width": 8}
    assert config.loss.args == base.loss.args


def test_a_config_cannot_be_changed() -> None:
    config = load_config()
    with pytest.raises(ValidationError, match="frozen"):
        config.training.epochs = 5
    with pytest.raises(ValidationError, match="frozen"):
        config.data = None


def test_saving_and_loading_gives_an_equal_config(tmp_path: Path) -> None:
    overrides = ["optimizer.learning_rate=3e-7", "data.lesion_values=[1, 2]"]
    overrides += ["data.image_size=[64, 96]", "training.gradient_clip=1.5", "data.root=Köln 1e-4"]
    config = load_config(experiments=["quickstart"], overrides=overrides)
    path = tmp_path / "config.yaml"
    save_config(config, path)
    assert load_config(path) == config
    assert validate_config(config.model_dump(mode="json")) == config


def test_override_changes_what_it_may() -> None:
    config = load_config()
    changed = override_config(config, ["data.num_workers=0"], ["data.", "evaluation."])
    assert changed_keys(config, changed) == ["data.num_workers"]


@pytest.mark.parametrize("key", ["model.args.width", "model.name", "loss.args.theta"])
def test_override_refuses_what_the_checkpoint_decides(key: str) -> None:
    with pytest.raises(UserError) as caught:
        override_config(load_config(), [f"{key}=16"], ["data.", "evaluation."])
    assert str(caught.value) == f"--set {key}: the checkpoint decides it; train again to change it"


def test_override_checks_keys_and_values_like_load() -> None:
    for override, message in {
        "data.rot=x": "--set data.rot: unknown key, did you mean data.root?",
        "data.num_workers=-1": "--set data.num_workers: Input should be greater than or equal",
    }.items():
        with pytest.raises(UserError) as caught:
            override_config(load_config(), [override], ["data."])
        assert str(caught.value).startswith(message)


def test_changed_keys_are_dotted_and_sorted() -> None:
    before = load_config()
    overrides = ["training.epochs=5", "model.args.width=16", "data.augmentation.noise=0.1"]
    after = load_config(overrides=overrides)
    expected = ["data.augmentation.noise", "model.args.width", "training.epochs"]
    assert changed_keys(before, after) == expected
    assert changed_keys(before, load_config()) == []


def test_an_argument_that_only_one_config_has_is_a_changed_key() -> None:
    before, after = load_config(), load_config(overrides=["loss.function=dice"])
    expected = ["loss.args.beta", "loss.args.theta", "loss.function"]
    assert changed_keys(before, after) == expected
    assert changed_keys(after, before) == expected


def test_known_keys_are_the_sections_and_leaves_of_the_base_file() -> None:
    keys, free = known_keys(), ("model.args.", "loss.args.")
    leaves = flatten(load_config().model_dump())
    assert {key for key in leaves if not key.startswith(free)} <= set(keys)
    assert {"data", "data.augmentation", "model.args", "loss.args"} <= set(keys)
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize(
    ("key", "meant"),
    [("model.width", "model.args.width"), ("theta", "loss.args.theta"), ("fusion", "args.fusion")],
)
def test_an_argument_of_network_or_loss_that_is_misplaced_is_found(key: str, meant: str) -> None:
    with pytest.raises(UserError, match=rf"unknown key, did you mean [a-z.]*{meant}\?"):
        load_config(overrides=[f"{key}=4"])


def test_choosing_a_loss_keeps_its_args_whatever_the_order_of_set() -> None:
    for order in ([0, 1], [1, 0]):
        pairs = ["loss.function=dice", "loss.args.smooth=2.0"]
        config = load_config(overrides=[pairs[i] for i in order])
        assert config.loss.args == {"smooth": 2.0}
