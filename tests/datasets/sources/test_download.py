"""Downloads from a server of our own: whole, resumed, checked, and refused in one clear line."""

import hashlib
import os
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from file_server import CONTENT, Bar, Handler, Server

from datasets.card import SourceFacts
from datasets.sources import download as module
from datasets.sources.download import download
from datasets.sources.source import Download, Source
from utils.errors import UserError

SHA256 = hashlib.sha256(CONTENT).hexdigest()
CUT = 1_300_000


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(module, "_PAUSE_S", 0.01)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def source(url: str, *others: Download, **facts: object) -> Source:
    return Source(
        SourceFacts("toy", "Toy", "CC0", "nobody"),
        "https://example.org/toy",
        "3 MB",
        ("set.zip",),
        {1: "lesion"},
        None,
        lambda tree: [],
        (Download(url, "set.zip", **facts), *others),
    )


def fetch(of: Source, folder: Path) -> list[Bar]:
    """The bars of a download."""
    bars: list[Bar] = []

    def make(**settings: object) -> Bar:
        bars.append(Bar(**settings))
        return bars[-1]

    files = download(of, folder, make)
    assert files == [folder / "set.zip"]
    assert files[0].read_bytes() == CONTENT
    assert [path.name for path in folder.iterdir()] == ["set.zip"]
    return bars


def refusal(of: Source, folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        download(of, folder, Bar)
    assert "\n" not in str(caught.value)
    assert not (folder / "set.zip").exists()
    return str(caught.value)


def write_part(folder: Path, content: bytes, changed: float) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "set.zip.part").write_bytes(content)
    os.utime(folder / "set.zip.part", (changed, changed))


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"sha256": SHA256, "num_bytes": len(CONTENT)},
        {"sha256": SHA256.upper()},
        {"md5": hashlib.md5(CONTENT).hexdigest()},
    ],
)
def test_a_file_arrives_whole_and_the_bar_counts_its_bytes(
    facts: dict[str, object], server: Server, tmp_path: Path
) -> None:
    (bar,) = fetch(source(server.url, **facts), tmp_path / "new" / "folder")
    assert bar.count == bar.settings["total"] == len(CONTENT)
    assert bar.settings["desc"] == "set.zip"


def test_a_file_that_is_there_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    fetch(source(server.url, sha256=SHA256), tmp_path)
    assert fetch(source(server.url, sha256=SHA256), tmp_path) == []
    assert server.asked == [None]


def test_a_wrong_file_that_is_there_is_refused_and_left(server: Server, tmp_path: Path) -> None:
    (tmp_path / "set.zip").write_bytes(b"something else")
    for facts, problem in (
        ({"sha256": SHA256}, "sha256 sum"),
        ({"md5": "0" * 32}, "md5 sum"),
        ({"num_bytes": 3}, "14 bytes instead of 3"),
    ):
        with pytest.raises(UserError, match=rf"set.zip: has .*{problem}.*; remove it"):
            download(source(server.url, **facts), tmp_path, Bar)
    assert (tmp_path / "set.zip").read_bytes() == b"something else"
    assert server.asked == []


@pytest.mark.parametrize("changed", [1_600_000_000.0, None])
def test_a_connection_that_breaks_is_taken_up_where_it_broke(
    changed: float | None, server: Server, tmp_path: Path
) -> None:
    server.cuts, server.changed = [CUT, 500_000], changed
    bars = fetch(source(server.url, sha256=SHA256), tmp_path)
    assert server.asked == [None, f"bytes={CUT}-", f"bytes={CUT + 500_000}-"]
    assert [bar.settings["initial"] for bar in bars] == [0, CUT, CUT + 500_000]
    assert {bar.settings["total"] for bar in bars} == {len(CONTENT)}


@pytest.mark.parametrize("changed", [1_600_000_000.0, None])
def test_a_later_call_goes_on_from_the_part(
    changed: float | None, server: Server, tmp_path: Path
) -> None:
    server.cuts, server.changed = [CUT, *[0] * 20], changed
    message = refusal(source(server.url, sha256=SHA256), tmp_path)
    assert f"with {CUT:,} bytes there" in message
    assert "https://example.org/toy" in message
    assert (tmp_path / "set.zip.part").read_bytes() == CONTENT[:CUT]
    server.cuts = []
    server.asked.clear()
    fetch(source(server.url, sha256=SHA256), tmp_path)
    assert server.asked == [f"bytes={CUT}-"]


def test_a_server_without_ranges_sends_all_from_the_beginning(
    server: Server, tmp_path: Path
) -> None:
    server.has_ranges, server.cuts = False, [CUT]
    bars = fetch(source(server.url), tmp_path)
    assert [bar.settings["initial"] for bar in bars] == [0, 0]


def test_a_server_without_ranges_that_always_breaks_is_given_up(
    server: Server, tmp_path: Path
) -> None:
    server.has_ranges, server.cuts = False, [CUT] * 20
    assert "the connection broke" in refusal(source(server.url), tmp_path)


def test_a_part_of_a_file_that_has_changed_is_not_mixed_with_it(
    server: Server, tmp_path: Path
) -> None:
    write_part(tmp_path, b"older" * 1000, 1_500_000_000.0)
    fetch(source(server.url), tmp_path)
    assert server.asked == ["bytes=5000-"]


def test_a_part_longer_than_the_file_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    write_part(tmp_path, CONTENT + b"more", server.changed)
    fetch(source(server.url), tmp_path)
    assert server.asked == [f"bytes={len(CONTENT) + 4}-", None]


@pytest.mark.parametrize(("facts", "num_asked"), [({}, 1), ({"num_bytes": len(CONTENT)}, 0)])
def test_a_part_that_is_whole_only_gets_its_name(
    facts: dict[str, int], num_asked: int, server: Server, tmp_path: Path
) -> None:
    write_part(tmp_path, CONTENT, server.changed)
    assert fetch(source(server.url, **facts), tmp_path) == []
    assert len(server.asked) == num_asked


def test_a_part_that_begins_elsewhere_is_not_appended(server: Server, tmp_path: Path) -> None:
    write_part(tmp_path, CONTENT[:CUT], server.changed)
    server.shift = 10
    assert "another part than was asked for" in refusal(source(server.url), tmp_path)
    assert (tmp_path / "set.zip.part").read_bytes() == CONTENT[:CUT]


@pytest.mark.parametrize(
    ("facts", "problem"),
    [
        ({"sha256": "0" * 64}, f"the sha256 sum {SHA256} instead of {'0' * 64}"),
        ({"md5": "0" * 32}, f"instead of {'0' * 32}"),
        ({"num_bytes": 7}, "3,000,000 bytes instead of 7"),
    ],
)
def test_what_has_arrived_wrong_is_removed(
    facts: dict[str, object], problem: str, server: Server, tmp_path: Path
) -> None:
    assert problem in refusal(source(server.url, **facts), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_the_server_does_not_have_is_named_with_the_homepage(
    server: Server, tmp_path: Path
) -> None:
    url = server.url.replace("set", "gone")
    message = refusal(source(url), tmp_path)
    assert url in message
    assert "404" in message
    assert "https://example.org/toy" in message
    assert server.asked == [None]


def test_no_network_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as closed:
        port = closed.server_port
    message = refusal(source(f"http://127.0.0.1:{port}/set.zip"), tmp_path)
    assert "no connection" in message
    assert "refused" in message


def test_a_source_without_direct_links_names_its_homepage(tmp_path: Path) -> None:
    message = refusal(source("")._replace(downloads=()), tmp_path)
    assert "no direct link" in message
    assert "https://example.org/toy" in message
    assert "set.zip" in message


def test_a_file_larger_than_the_disk_is_not_begun(server: Server, tmp_path: Path) -> None:
    assert "are free; make room" in refusal(source(server.url, num_bytes=10**18), tmp_path)
    assert server.asked == []


def test_a_folder_that_cannot_be_made_is_named(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file/sub: cannot be made"):
        download(source(server.url), tmp_path / "file" / "sub", Bar)


def test_a_part_that_cannot_be_written_is_named(server: Server, tmp_path: Path) -> None:
    (tmp_path / "set.zip.part").mkdir()
    assert "set.zip.part: cannot be written" in refusal(source(server.url), tmp_path)


def test_files_come_in_the_order_of_the_links(server: Server, tmp_path: Path) -> None:
    other = Download(server.url, "a.zip", SHA256)
    files = download(source(server.url, other), tmp_path, Bar)
    assert [path.name for path in files] == ["set.zip", "a.zip"]
