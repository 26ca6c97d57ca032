"""Checkpoint files: whole or not at all, never silently wrong."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small_steps import state_of

from models import create_model
from training.checkpoint import (
    load_checkpoint,
    load_latest_checkpoint,
    load_weights,
    previous_path,
    save_checkpoint,
)
from utils.errors import UserError

CONTENT = {"model": {"weight": torch.arange(40.0)}, "epoch": 3, "best": [0.5, None, "dice"]}


def is_original(content: dict) -> bool:
    return (
        content["epoch"] == 3
        and content["best"] == [0.5, None, "dice"]
        and torch.equal(content["model"]["weight"], torch.arange(40.0))
    )


@pytest.fixture
def last(tmp_path: Path) -> Path:
    """A checkpoint with the one before it."""
    path = tmp_path / "last.pt"
    save_checkpoint(path, CONTENT | {"epoch": 2}, keep_previous=True)
    save_checkpoint(path, CONTENT, keep_previous=True)
    return path


def test_the_file_before_is_kept_and_nothing_else(last: Path) -> None:
    assert is_original(load_checkpoint(last))
    assert load_checkpoint(previous_path(last))["epoch"] == 2
    save_checkpoint(last, CONTENT | {"epoch": 4}, keep_previous=True)
    assert load_checkpoint(last)["epoch"] == 4
    assert is_original(load_checkpoint(previous_path(last)))
    assert {file.name for file in last.parent.iterdir()} == {"last.pt", "last.previous.pt"}


def test_a_kill_between_the_renames_leaves_nothing_behind_the_next_save(last: Path) -> None:
    previous_path(last).unlink()
    os.link(last, previous_path(last))  # both are names of one file, as such a kill leaves them
    save_checkpoint(last, CONTENT | {"epoch": 4}, keep_previous=True)
    assert load_checkpoint(last)["epoch"] == 4
    assert is_original(load_checkpoint(previous_path(last)))
    assert {file.name for file in last.parent.iterdir()} == {"last.pt", "last.previous.pt"}


def test_without_links_the_file_before_is_renamed(
    last: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(1, "links are not supported")

    monkeypatch.setattr("os.link", no_links)
    save_checkpoint(last, CONTENT | {"epoch": 4}, keep_previous=True)
    assert load_checkpoint(last)["epoch"] == 4
    assert is_original(load_checkpoint(previous_path(last)))


def test_any_flipped_byte_is_refused_or_harmless(last: Path) -> None:
    whole, refused = last.read_bytes(), 0
    for offset in range(len(whole)):
        damaged = bytearray(whole)
        damaged[offset] ^= 1 << (offset % 8)
        last.write_bytes(damaged)
        try:
            assert is_original(load_checkpoint(last)), offset
        except UserError:
            refused += 1
    # Padding between records and the dates of the archive carry nothing.
    assert refused > len(whole) / 4


@pytest.mark.parametrize("fraction", [0, 0.1, 0.5, 0.9, 0.999])
def test_a_cut_file_falls_back_to_the_one_before_with_a_warning(
    last: Path, fraction: float, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = last.read_bytes()
    last.write_bytes(whole[: int(fraction * len(whole))])
    assert load_latest_checkpoint(last)["epoch"] == 2
    out = capsys.readouterr().out
    assert out.startswith(f"warning: {last}: ")
    assert "last.previous.pt" in out
    assert len(out.splitlines()) == 1
    # The damaged file must not become the one before at the next save.
    save_checkpoint(last, CONTENT | {"epoch": 3}, keep_previous=True)
    assert load_checkpoint(previous_path(last))["epoch"] == 2
    assert last.with_name("last.damaged.pt").stat().st_size < len(whole)


def test_a_file_that_is_gone_falls_back_too(last: Path) -> None:
    last.unlink()
    assert load_latest_checkpoint(last)["epoch"] == 2


def test_two_damaged_files_are_refused_with_the_first_ones_reason(last: Path) -> None:
    last.write_bytes(b"")
    previous_path(last).write_bytes(b"")
    with pytest.raises(UserError, match=r"last\.pt: "):
        load_latest_checkpoint(last)


_FULL_DISK = """
import resource, sys, torch
from pathlib import Path
from training.checkpoint import save_checkpoint
from utils.errors import UserError
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    save_checkpoint(Path(sys.argv[1]), {"model": torch.zeros(100_000)}, keep_previous=True)
except UserError as error:
    print(error)
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="needs a limit on file size")
def test_a_write_that_fails_leaves_both_files_as_they_were(last: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FULL_DISK, str(last)], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"{last}: cannot be written (")
    assert len(done.stdout.splitlines()) == 1
    assert is_original(load_checkpoint(last))
    assert load_checkpoint(previous_path(last))["epoch"] == 2
    assert {file.name for file in last.parent.iterdir()} == {"last.pt", "last.previous.pt"}


@pytest.mark.parametrize(
    ("own", "parts"),
    [
        ({"num_classes": 3}, ("2 of another shape, such as head.bias: 1 in the file, 3 in UNet",)),
        ({"width": 8}, ("decoder.0.conv.0.weight: 32 x 64 x 3 x 3 in the file, 64 x 128 x 3 x 3",)),
    ],
)
def test_weights_of_a_network_of_another_size_are_refused_with_both_sizes(
    tmp_path: Path, own: dict[str, int], parts: tuple[str, ...]
) -> None:
    config, state = state_of("unet", width=4)
    state.save_best(tmp_path / "best.pt", config)
    network = create_model("unet", **{"width": 4, **own})
    content = load_checkpoint(tmp_path / "best.pt")
    with pytest.raises(UserError) as refusal:
        load_weights(network, content["model"], tmp_path / "best.pt")
    message = str(refusal.value)
    assert message.startswith(f"{tmp_path}/best.pt: weights of another network than the UNet of")
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_weights_of_another_network_are_refused_by_the_name_of_the_wanted_one() -> None:
    weights = create_model("unet", width=4).state_dict()
    with pytest.raises(UserError, match=r"than the UNetPlusPlus of .* tensors missing, \d+ unkn"):
        load_weights(create_model("unetplusplus", width=4), weights, Path("best.pt"))


@pytest.mark.parametrize(
    ("name", "args", "both"),
    [
        ("unetplusplus", {"width": 4}, "model.name is unet there, unetplusplus here"),
        ("unet", {"width": 4, "num_classes": 3}, "model.args.num_classes is default there, 3 here"),
    ],
)
def test_a_run_does_not_go_on_from_another_networks_checkpoint(
    tmp_path: Path, name: str, args: dict[str, int], both: str
) -> None:
    config, state = state_of("unet", width=4)
    state.save_last(tmp_path / "last.pt", config)
    other_config, other = state_of(name, **args)
    with pytest.raises(UserError) as refusal:
        other.restore(load_checkpoint(tmp_path / "last.pt"), tmp_path / "last.pt", other_config)
    message = str(refusal.value)
    assert message.startswith(f"{tmp_path / 'last.pt'}: made with another model.")
    assert both in message
    assert "\n" not in message


def test_a_checkpoint_is_no_file_of_encoder_weights(tmp_path: Path) -> None:
    config, state = state_of("unet", width=4)
    path = tmp_path / "best.pt"
    state.save_best(path, config)
    with pytest.raises(UserError, match=r"best\.pt is a checkpoint of a whole unet; .* resnet18"):
        create_model("f3net", depth=18, pretrained=str(path))
    with pytest.raises(UserError, match=r"encoder_weights: .* a checkpoint of a whole unet"):
        create_model("resunet", encoder_weights=str(path))


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
        ("<!DOCTYPE html><html>Quota exceeded</html>", "a web page"),
    ],
)
def test_what_stands_in_for_a_checkpoint_is_named(content: str, part: str, tmp_path: Path) -> None:
    (tmp_path / "best.pt").write_text(content)
    with pytest.raises(UserError, match=f"best.pt: {part}" if part.startswith("a") else part):
        load_checkpoint(tmp_path / "best.pt")
