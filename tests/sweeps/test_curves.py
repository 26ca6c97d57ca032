"""The figures of a sweep."""

from pathlib import Path
from shutil import copytree, rmtree

import numpy as np
import pytest

from figures.training_curves import PANELS, draw_training_curves
from sweeps.curves import draw_sweep
from tests.sweeps.conftest import plan
from utils.errors import UserError

Trained = tuple[Path, Path, Path]


def test_figures_and_curves_are_drawn_as_png_and_pdf(trained: Trained, tmp_path: Path) -> None:
    file, data, out = trained
    sweep, runs = plan(file, data, out)
    written = draw_sweep(sweep, runs, tmp_path / "figures")
    names = {"figure_6", "figure_7_fused", "figure_8_fused", "curves"}
    expected = {f"{name}.{form}" for name in names for form in ("png", "pdf")}
    assert {path.name for path in written} == expected
    assert {path.parent for path in written} == {tmp_path / "figures" / "slices"}
    assert all(path.stat().st_size > 1000 for path in written)


def test_a_sweep_without_its_events_or_its_runs_is_refused(
    trained: Trained, tmp_path: Path
) -> None:
    copytree(trained[2], tmp_path / "runs")
    sweep, runs = plan(trained[0], trained[1], tmp_path / "runs")
    for run in runs:
        run.folder.best.unlink()
        rmtree(run.folder.tensorboard)
    with pytest.raises(UserError, match=r"no run has its best\.pt or its TensorBoard events"):
        draw_sweep(sweep, runs, tmp_path / "figures")
    with pytest.raises(UserError, match="no run is finished"):
        draw_sweep(sweep, [], tmp_path / "figures")


def test_a_curve_is_the_mean_of_the_seeds_that_go_on() -> None:
    values = np.array([[0.2, 0.4, np.nan], [0.4, 0.8, 0.9]])
    figure = draw_training_curves({"row": dict.fromkeys(PANELS, values)})
    loss, _, dice = (place.lines[0].get_ydata() for place in figure.axes)
    np.testing.assert_allclose(loss, [0.3, 0.6, 0.9])
    np.testing.assert_allclose(dice, [30, 60, 90])
