"""Early stopping: strict improvement, NaN, and going on from a checkpoint."""

import json
import math

import pytest

from training.early_stopping import EarlyStopping


def test_only_a_strictly_better_score_is_a_new_best() -> None:
    stopping = EarlyStopping(patience=9)
    scores = [0.5, 0.5, 0.4, 0.6, 0.6, 0.7]
    assert [stopping.update(score) for score in scores] == [True, False, False, True, False, True]
    assert stopping.best == 0.7


def test_a_score_of_zero_is_better_than_none() -> None:
    stopping = EarlyStopping(patience=1)
    assert stopping.update(0.0)
    assert not stopping.should_stop


@pytest.mark.parametrize("patience", [1, 3])
def test_it_stops_after_patience_epochs_without_improvement(patience: int) -> None:
    stopping = EarlyStopping(patience)
    stops = []
    for score in (0.1, 0.2, 0.2, 0.2, 0.2):  # the best stands at epoch 1
        stopping.update(score)
        stops.append(stopping.should_stop)
    assert stops == [False] * (2 + patience - 1) + [True] * (3 - patience + 1)


def test_an_improvement_starts_the_count_again() -> None:
    stopping = EarlyStopping(patience=2)
    for score in (0.5, 0.4, 0.6, 0.5):  # stalled: 0, 1, 0, 1
        stopping.update(score)
        assert not stopping.should_stop
    stopping.update(0.6)  # stalled: 2
    assert stopping.should_stop


def test_nan_is_never_the_best() -> None:
    stopping = EarlyStopping(patience=3)
    assert not stopping.update(math.nan)
    assert stopping.update(0.1)
    assert not stopping.update(math.nan)
    assert stopping.best == 0.1
    assert stopping.num_stalled == 1


def test_only_nan_stops_after_patience() -> None:
    stopping = EarlyStopping(patience=2)
    stopping.update(math.nan)
    assert not stopping.should_stop
    stopping.update(math.nan)
    assert stopping.should_stop


def test_a_checkpoints_state_continues_the_count() -> None:
    scores = [0.3, 0.5, 0.4, 0.5, 0.2, 0.6]
    for stop in range(len(scores)):
        straight, first, second = (EarlyStopping(patience=3) for _ in range(3))
        expected = [(straight.update(score), straight.should_stop) for score in scores]
        seen = [(first.update(score), first.should_stop) for score in scores[:stop]]
        second.load_state_dict(first.state_dict())
        seen += [(second.update(score), second.should_stop) for score in scores[stop:]]
        assert seen == expected


def test_the_state_is_plain_values() -> None:
    stopping = EarlyStopping(patience=3)
    stopping.update(0.5)
    stopping.update(0.4)
    assert json.loads(json.dumps(stopping.state_dict())) == {"best": 0.5, "num_stalled": 1}
