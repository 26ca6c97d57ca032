"""The folder of a run: never written over, never resumed from nothing."""

from pathlib import Path

import pytest

from training.run_folder import RunFolder, experiment_name, open_run_folder
from utils.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A folder that does not exist yet."""
    return RunFolder.of(str(tmp_path / "runs"), "quickstart", 7)


def test_a_new_run_gets_a_folder_by_experiment_and_seed(tmp_path: Path, folder: RunFolder) -> None:
    assert open_run_folder(folder, resume=False) is False
    assert folder.path == tmp_path / "runs" / "quickstart" / "seed7"
    assert folder.path.is_dir()
    assert list(folder.path.iterdir()) == []
    assert folder.last == folder.path / "last.pt"
    assert folder.best == folder.path / "best.pt"
    assert folder.config == folder.path / "config.yaml"


@pytest.mark.parametrize("file", ["last.pt", "last.previous.pt", "best.pt"])
def test_a_new_run_is_refused_where_an_old_one_lies(file: str, folder: RunFolder) -> None:
    open_run_folder(folder, resume=False)
    (folder.path / file).write_bytes(b"weights")
    with pytest.raises(UserError) as caught:
        open_run_folder(folder, resume=False)
    message = str(caught.value)
    assert message.startswith(f"{folder.path}: ")
    assert "--resume" in message
    assert "training.seed" in message
    assert "checkpoint.save_dir" in message
    assert (folder.path / file).read_bytes() == b"weights"


def test_a_run_stopped_before_its_first_checkpoint_may_start_again(folder: RunFolder) -> None:
    open_run_folder(folder, resume=False)
    folder.config.write_text("{}")
    assert open_run_folder(folder, resume=False) is False


def test_resume_without_a_checkpoint_is_refused_and_makes_no_folder(folder: RunFolder) -> None:
    with pytest.raises(UserError) as caught:
        open_run_folder(folder, resume=True)
    assert str(caught.value).startswith(f"{folder.last}: nothing to resume")
    assert not folder.path.exists()


def test_resume_needs_the_last_checkpoint_and_not_the_best(folder: RunFolder) -> None:
    open_run_folder(folder, resume=False)
    folder.best.touch()
    with pytest.raises(UserError, match="nothing to resume"):
        open_run_folder(folder, resume=True)


@pytest.mark.parametrize("file", ["last.pt", "last.previous.pt"])
def test_resume_goes_on_from_the_last_checkpoint_or_the_one_before(
    file: str, folder: RunFolder
) -> None:
    open_run_folder(folder, resume=False)
    (folder.path / file).write_bytes(b"weights")
    assert open_run_folder(folder, resume=True) is True
    assert (folder.path / file).read_bytes() == b"weights"


def test_a_restarted_job_goes_on_or_begins_anew_as_it_can(folder: RunFolder) -> None:
    assert open_run_folder(folder, resume=False, job="host 7") is False
    folder.run_info.write_text('{"job": "host 7"}')
    assert open_run_folder(folder, resume=False, job="host 7") is False
    assert open_run_folder(folder, resume=True, job="host 7") is False
    folder.last.write_bytes(b"weights")
    assert open_run_folder(folder, resume=False, job="host 7") is True


@pytest.mark.parametrize("job", ["host 8", None])
def test_a_job_does_not_go_on_by_itself_with_a_run_of_another(
    job: str | None, folder: RunFolder
) -> None:
    open_run_folder(folder, resume=False, job="host 7")
    folder.run_info.write_text('{"job": "host 7"}')
    folder.last.write_bytes(b"weights")
    with pytest.raises(UserError, match="holds a run already"):
        open_run_folder(folder, resume=False, job=job)


def test_a_save_dir_that_is_a_file_is_refused_with_its_key(
    tmp_path: Path, folder: RunFolder
) -> None:
    (tmp_path / "runs").touch()
    with pytest.raises(UserError) as caught:
        open_run_folder(folder, resume=False)
    assert str(caught.value).startswith(f"checkpoint.save_dir: {folder.path}: ")


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


def test_a_run_goes_on_from_a_run_within_it(folder: RunFolder) -> None:
    stage = RunFolder(folder.path / "rounds")
    stage.path.mkdir(parents=True)
    stage.config.write_text("")
    stage.best.write_bytes(b"of its first epoch")
    assert not folder.can_go_on()
    folder.clear_first_epochs()
    assert not stage.best.exists()
    for file in (stage.best, stage.last):
        file.write_bytes(b"weights")
    assert folder.can_go_on()
    assert not folder.is_begun()
    folder.clear_first_epochs()
    assert stage.best.exists()
