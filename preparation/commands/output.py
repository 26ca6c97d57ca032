"""What the commands of prepare.py say: bars, counts, sources."""

from collections.abc import Callable, Iterable
from pathlib import Path

from datasets.data_folder import FolderSummary
from datasets.sources.source import Source
from utils.progress import Progress


def bar(title: str) -> Callable[[Iterable], Iterable]:
    """What shows a bar on a terminal."""
    return lambda items: Progress(items, title)


def describe_folder_summary(out: Path, summary: FolderSummary, seconds: float) -> str:
    """Slices in all, per split and without lesion, and how fast they came."""
    counts = ", ".join(f"{name} {count}" for name, count in summary.slices_per_split.items())
    return (
        f"{out}: {summary.num_slices} slices ({counts}), {summary.num_empty} without lesion, "
        f"{summary.num_slices / seconds:.0f} slices/s"
    )


def describe_source(source: Source) -> str:
    """A source with its terms, and what is expected on the disk."""
    return "\n".join([describe_terms(source), *_indented("expects", source.expects)])


def describe_terms(source: Source) -> str:
    """A source with its terms; files of one's own come from nowhere and are not cited."""
    facts = source.facts
    link = "prepare.py fetches it (--download)" if source.downloads else "no direct link"
    labels = ", ".join(f"{value} {name}" for value, name in source.labels.items())
    lines = [f"{facts.name}: {facts.title}", f"  licence    {facts.licence}"]
    if facts.citation:
        lines.append(f"  cite       {facts.citation}")
    if source.homepage:
        lines.append(f"  from       {source.homepage} ({source.size}; {link})")
    return "\n".join([*lines, f"  labels     {labels or 'none'}"])


def _indented(head: str, lines: Iterable[str]) -> list[str]:
    """Lines under one head."""
    heads = [head]
    return [f"  {(heads.pop() if heads else ''):<10} {line}" for line in lines]
