"""Python loads this at its start where the folder is on PYTHONPATH: counts steps, shifts the clock.

FAULTS_STEPS names a file that gets one byte per optimizer step of the main process.
FAULTS_CLOCK is added to the wall clock, in s: a machine whose clock was set.
"""

import os
import time


def _count_steps(path: str) -> None:
    from torch.optim.optimizer import register_optimizer_step_post_hook

    # Unbuffered: a byte that was written survives the process.
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    register_optimizer_step_post_hook(lambda *_: os.write(log, b".") and None)


def _shift_clock(seconds: float) -> None:
    import datetime

    real_time = time.time

    class ShiftedDatetime(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
            return cls.fromtimestamp(real_time() + seconds, tz)

    time.time = lambda: real_time() + seconds
    datetime.datetime = ShiftedDatetime


if "FAULTS_STEPS" in os.environ and os.environ.get("RANK", "0") == "0":
    _count_steps(os.environ["FAULTS_STEPS"])
if "FAULTS_CLOCK" in os.environ:
    _shift_clock(float(os.environ["FAULTS_CLOCK"]))
