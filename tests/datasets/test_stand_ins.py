"""What a download left in the place of a file is told from the file."""

import pytest

from datasets.stand_ins import describe_stand_in


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b" \r\n<!DOCTYPE HTML>", "web page"),
        (b"\xef\xbb\xbf<HTML lang=de>", "web page"),
    ],
)
def test_what_stands_in_for_a_file_is_told(data: bytes, part: str) -> None:
    assert part in describe_stand_in(data)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\x89PNG\r\n", b"version: 1\n", b"<svg>"])
def test_other_files_stand_in_for_nothing(data: bytes) -> None:
    assert describe_stand_in(data) is None
