"""The configuration: what resolves, what it comes to, and what is said where it does not."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from utils.config import known_keys
from utils.config_loader import (
    changed_keys,
    flatten,
    list_experiments,
    load_config,
    override_config,
    restore_config,
    save_config,
    validate_config,
)
from utils.errors import UserError

Write = Callable[[str, str], Path]


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


def test_one_side_of_image_size_means_a_square() -> None:
    assert load_config(overrides=["data.image_size=64"]).data.image_size == [64, 64]
    assert load_config(overrides=["data.image_size=[64, 96]"]).data.image_size == [64, 96]


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


def test_choosing_a_loss_keeps_its_args_whatever_the_order_of_set() -> None:
    for order in ([0, 1], [1, 0]):
        pairs = ["loss.function=dice", "loss.args.smooth=2.0"]
        config = load_config(overrides=[pairs[i] for i in order])
        assert config.loss.args == {"smooth": 2.0}


def test_a_checkpoint_older_than_a_key_takes_its_default() -> None:
    config = load_config(overrides=["model.args.width=16", "data.image_size=128"])
    values = config.model_dump(mode="json")
    del values["training"]["compile"], values["data"]["cache_mib"], values["model"]["args"]["depth"]
    restored = restore_config(values, Path("best.pt"))
    assert restored.training.compile is load_config().training.compile
    assert restored.data.cache_mib == load_config().data.cache_mib
    assert "depth" not in restored.model.args  # the network's own default, as when it was trained
    assert changed_keys(config, restored) == ["model.args.depth"]
