"""One run in a process of its own: train.py, then test.py, then its record.

python -m sweeps.worker FOLDER/ROW.yaml SEED FINGERPRINT, as sweeps.launch starts it.
"""

import runpy
import sys
import time
from pathlib import Path

from sweeps.record import Record, alone_in, check_record, fingerprint_settings, write_record
from training.run_folder import RunFolder
from utils.cli import run_main
from utils.config_loader import load_config

_REPOSITORY = Path(__file__).resolve().parent.parent


def main() -> None:
    """Command line, written by sweeps.launch alone."""
    file, seed, data = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    setting = f"training.seed={seed}"
    config = load_config(file, (), [setting])
    folder = RunFolder.of(config.checkpoint.save_dir, file.stem, config.training.seed)
    with alone_in(folder):
        record = check_record(folder, config, data)
        if record is not None and record.is_finished:
            return
        start = time.perf_counter()
        if record is None:
            record = Record(data, fingerprint_settings(config), 0.0, is_finished=False)
            write_record(folder, record)
        resume = ["--resume"] if folder.can_go_on() else []
        if not resume:
            folder.clear_first_epochs()
        _call("train.py", "--config", str(file), "--set", setting, *resume)
        _call("test.py", "--checkpoint", str(folder.best), "--no-report")
        seconds = round(record.seconds + time.perf_counter() - start, 1)
        write_record(folder, record._replace(seconds=seconds, is_finished=True))


def _call(script: str, *arguments: str) -> None:
    """A command as a user gives it, without another start of Python."""
    sys.argv = [script, *arguments]
    print(f"$ python {' '.join(sys.argv)}", flush=True)
    runpy.run_path(str(_REPOSITORY / script), run_name="__main__")


if __name__ == "__main__":
    run_main(main)
