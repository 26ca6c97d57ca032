"""Clock, time zone, language and data folder that change between and during sessions."""

import random
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.faults.bench import Bench, Run
from tests.faults.outcome import Outcome, finish, unclean

_DAY_S = 86_400
_LANGUAGES = {"tr_TR.UTF-8": "tr_TR", "de_DE.UTF-8": "de_DE"}


def change_clock_and_language(bench: Bench, dice: random.Random, count: int) -> Iterator[Outcome]:
    """Every session of a run in another place and time: the results and curves are the same."""
    reference = bench.reference()
    for _ in range(count):
        run = bench.run()
        locales = _compile_languages(run.base / "locales")
        places = [
            {"TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONUTF8": "0"},
            {"TZ": "America/Los_Angeles", "LC_ALL": "tr_TR.UTF-8", "FAULTS_CLOCK": str(-_DAY_S)},
            {"TZ": "UTC", "LC_ALL": "de_DE.UTF-8", "FAULTS_CLOCK": str(_DAY_S)},
            {"TZ": "Nowhere/At_All", "LC_ALL": "xx_YY.UTF-8", "PYTHONUTF8": "1"},
        ]
        problems = _stop_in_each(run, bench, dice, [{**place, **locales} for place in places])
        hit = "4 sessions in other places"
        yield finish("clock, time zone, locale", run, reference, hit, problems)


def set_clock(bench: Bench, dice: random.Random, count: int) -> Iterator[Outcome]:
    """A day back and then a day on, by libfaketime: for every library and for file times too."""
    reference = bench.reference()
    for _ in range(count):
        run = bench.run()
        places = [_faketime(shift) for shift in ("-1d", "+1d")]
        problems = _stop_in_each(run, bench, dice, places)
        yield finish("clock set by faketime", run, reference, "a day back, a day on", problems)


def has_faketime() -> bool:
    """Whether libfaketime's command is installed."""
    return shutil.which("faketime") is not None


def _faketime(shift: str) -> dict[str, str]:
    """The environment that faketime gives to a command; the command itself would take signals."""
    lines = subprocess.run(
        ["faketime", "-f", shift, "env"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    pairs = dict(line.split("=", 1) for line in lines if "=" in line)
    kept = {key: pairs[key] for key in ("LD_PRELOAD", "FAKETIME")}
    return kept | {"FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def freeze_data_folder(bench: Bench, dice: random.Random, count: int) -> Iterator[Outcome]:
    """The data folder is mounted read-only: the cache goes elsewhere."""
    for _ in range(count):
        run = bench.run()
        folder = run.base / "data"
        folder.mkdir()
        subprocess.run(["mount", "--bind", str(bench.data), str(folder)], check=True)
        try:
            subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
            run.settings["data.root"] = folder
            session = run.start_and_reach(dice.randrange(1, bench.num_steps - 5))
            session.hit(signal.SIGKILL)
            session.wait()
            yield finish("read-only data folder", run, bench.reference())
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def remove_data_file(bench: Bench, dice: random.Random, count: int) -> Iterator[Outcome]:
    """A slice disappears while the run reads the files: one line with its name."""
    for index in range(count):
        data = bench.folder / f"data_of_removal{index}"
        shutil.copytree(bench.data, data, ignore=shutil.ignore_patterns(".cache"))
        run = bench.run(data__cache_mib=0, data__root=data, data__num_workers=index % 3)
        session = run.start_and_reach(dice.randrange(1, bench.num_steps - 10))
        file = dice.choice(sorted(data.joinpath("train").rglob("*.png")))
        away = file.rename(run.base / file.name)
        problems = unclean(session.wait(), 2, str(file))
        shutil.move(away, file)
        yield finish("data file removed", run, bench.reference(), file.parent.name, problems)


def _stop_in_each(
    run: Run, bench: Bench, dice: random.Random, places: list[dict[str, str]]
) -> list[str]:
    """Train some steps in each place; what went wrong."""
    problems = []
    share = bench.num_steps // (len(places) + 1)
    for place in places:
        target = run.num_steps + dice.randrange(1, share + 1)
        session = run.start_and_reach(target, environment=place)
        session.hit(signal.SIGTERM)
        problems += unclean(session.wait(), 143, "stopped by SIGTERM")
    return problems


def _compile_languages(folder: Path) -> dict[str, str]:
    """Locales that the system has not, where it can make them; else they are unknown ones."""
    if shutil.which("localedef") is None:
        return {}
    folder.mkdir()
    for name, source in _LANGUAGES.items():
        command = ["localedef", "-i", source, "-f", "UTF-8", str(folder / name)]
        subprocess.run(command, capture_output=True)
    return {"LOCPATH": str(folder)}
