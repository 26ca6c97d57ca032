"""How a run goes about its training, by the name that training.procedure takes.

Each gives one trainer after another; the next is built when the one before has run.
"""

from collections.abc import Callable, Iterator

from training.procedures.consistency import fixmatch, mean_teacher
from training.procedures.guided import guided
from training.procedures.self_training import self_training
from training.procedures.supervised import supervised
from training.trainer import Trainer

PROCEDURES: dict[str, Callable[..., Iterator[Trainer]]] = {
    "supervised": supervised,
    "guided": guided,
    "self_training": self_training,
    "mean_teacher": mean_teacher,
    "fixmatch": fixmatch,
}
