"""What is said of a configuration that does not resolve."""

from collections.abc import Callable
from pathlib import Path

import pytest

from utils.config_loader import DEFAULT_CONFIG, load_config
from utils.errors import UserError

Write = Callable[[str, str], Path]


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
        ("zzz=1", "zzz: unknown key; the sections are data, model, guide, loss, optimizer, "),
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
    path = edit_base("checkpoint:\n  save_dir: checkpoint\n  every_steps: null\n", "")
    assert refusal(path=path) == f"{path}: checkpoint: missing; add it"


def test_an_empty_file_is_refused_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.yaml"
    path.touch()
    assert refusal(path=path) == f"{path}: data: missing; add it (and 11 more)"  # 12 sections


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


@pytest.mark.parametrize(
    ("key", "meant"),
    [("model.width", "model.args.width"), ("theta", "loss.args.theta"), ("fusion", "args.fusion")],
)
def test_an_argument_of_network_or_loss_that_is_misplaced_is_found(key: str, meant: str) -> None:
    with pytest.raises(UserError, match=rf"unknown key, did you mean [a-z.]*{meant}\?"):
        load_config(overrides=[f"{key}=4"])


def test_a_negative_exponent_number_is_out_of_range_rather_than_text() -> None:
    message = refusal("optimizer.learning_rate=-1e-4")
    assert message.startswith("--set optimizer.learning_rate: ")
    assert "greater than 0" in message
    assert message.endswith("not -0.0001")


@pytest.mark.parametrize("key", ["model.args.width", "loss.args.weight"])
@pytest.mark.parametrize("value", [".nan", "[1, .inf]", "2024-01-01", "{a: !!binary aaaa}"])
def test_arguments_that_no_file_gives_back_are_refused(key: str, value: str) -> None:
    with pytest.raises(UserError, match=rf"{key.rpartition('.')[0]}: must hold finite numbers"):
        load_config(overrides=[f"{key}={value}"])
