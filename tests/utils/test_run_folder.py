"""The folder of a run: never written over, never resumed from nothing."""

from pathlib import Path

import pytest

from utils.errors import UserError
from utils.run_folder import experiment_name, open_run_folder


def test_a_new_run_gets_a_folder_by_experiment_and_seed(tmp_path: Path) -> None:
    folder = open_run_folder(str(tmp_path / "runs"), "quickstart", 7, resume=False)
    assert folder.path == tmp_path / "runs" / "quickstart" / "seed7"
    assert folder.path.is_dir()
    assert list(folder.path.iterdir()) == []
    assert folder.last == folder.path / "last.pt"
    assert folder.best == folder.path / "best.pt"
    assert folder.config == folder.path / "config.yaml"


@pytest.mark.parametrize("file", ["last.pt", "best.pt"])
def test_a_new_run_is_refused_where_an_old_one_lies(file: str, tmp_path: Path) -> None:
    folder = open_run_folder(str(tmp_path), "quickstart", 2, resume=False)
    (folder.path / file).write_bytes(b"weights")
    with pytest.raises(UserError) as caught:
        open_run_folder(str(tmp_path), "quickstart", 2, resume=False)
    message = str(caught.value)
    assert message.startswith(f"{folder.path}: ")
    assert "--resume" in message
    assert "training.seed" in message
    assert "checkpoint.save_dir" in message
    assert (folder.path / file).read_bytes() == b"weights"


def test_another_seed_or_name_beside_an_old_run_is_a_new_run(tmp_path: Path) -> None:
    open_run_folder(str(tmp_path), "quickstart", 2, resume=False).last.touch()
    assert open_run_folder(str(tmp_path), "quickstart", 3, resume=False).path.is_dir()
    assert open_run_folder(str(tmp_path), "resunet", 2, resume=False).path.is_dir()


def test_a_run_stopped_before_its_first_checkpoint_may_start_again(tmp_path: Path) -> None:
    folder = open_run_folder(str(tmp_path), "quickstart", 2, resume=False)
    folder.config.write_text("{}")
    assert open_run_folder(str(tmp_path), "quickstart", 2, resume=False) == folder


def test_resume_without_a_checkpoint_is_refused_and_makes_no_folder(tmp_path: Path) -> None:
    path = tmp_path / "quickstart" / "seed2"
    with pytest.raises(UserError) as caught:
        open_run_folder(str(tmp_path), "quickstart", 2, resume=True)
    assert str(caught.value).startswith(f"{path / 'last.pt'}: nothing to resume")
    assert not path.exists()


def test_resume_needs_the_last_checkpoint_and_not_the_best(tmp_path: Path) -> None:
    folder = open_run_folder(str(tmp_path), "quickstart", 2, resume=False)
    folder.best.touch()
    with pytest.raises(UserError, match="nothing to resume"):
        open_run_folder(str(tmp_path), "quickstart", 2, resume=True)


def test_resume_opens_the_folder_of_the_old_run(tmp_path: Path) -> None:
    folder = open_run_folder(str(tmp_path), "quickstart", 2, resume=False)
    folder.last.write_bytes(b"weights")
    assert open_run_folder(str(tmp_path), "quickstart", 2, resume=True) == folder
    assert folder.last.read_bytes() == b"weights"


def test_a_save_dir_that_is_a_file_is_refused_with_its_key(tmp_path: Path) -> None:
    (tmp_path / "runs").touch()
    with pytest.raises(UserError) as caught:
        open_run_folder(str(tmp_path / "runs"), "quickstart", 2, resume=False)
    path = tmp_path / "runs" / "quickstart" / "seed2"
    assert str(caught.value).startswith(f"checkpoint.save_dir: {path}: ")


@pytest.mark.parametrize(
    ("experiments", "name"),
    [
        ([], "train_config"),
        (["quickstart"], "quickstart"),
        (["quickstart", "resunet"], "quickstart+resunet"),
        (["resunet", "quickstart"], "resunet+quickstart"),
    ],
)
def test_a_run_is_named_after_its_experiments_or_its_config(
    experiments: list[str], name: str
) -> None:
    assert experiment_name(Path("resources/train_config.yaml"), experiments) == name
