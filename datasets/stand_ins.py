"""What a download may leave in the place of a file."""


def describe_stand_in(data: bytes) -> str | None:
    """What lies in the place of a file that never came; None where it is nothing of that kind.

    Args:
        data: The beginning of the file, 100 bytes or more.
    """
    if data.startswith(b"version https://git-lfs.github.com/"):
        return "a Git LFS pointer, not the file itself: fetch it with 'git lfs pull'"
    start = data[:1024].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head")):
        return "a web page, not the file: the download was refused (log in, or try again later)"
    return None
