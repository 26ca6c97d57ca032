from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from benchmark.volume_cost import _write_scan, main, run_script
from utils.errors import UserError


def test_the_scan_is_in_hu_with_a_mask_of_its_lesions(tmp_path: Path) -> None:
    folder = _write_scan(tmp_path / "scan", 12, 64)
    values, mask = (
        np.asarray(nib.load(folder / kind / "scan.nii.gz").dataobj) for kind in ("images", "masks")
    )
    assert values.shape == mask.shape == (64, 64, 12)
    assert values.min() < -900 < 100 < values.max()
    assert set(np.unique(mask)) == {0, 1}
    assert values[mask == 1].mean() > values[values < -500].mean()


def test_a_script_is_watched_to_its_end() -> None:
    cost = run_script(["prepare.py", "--list"])
    assert cost.seconds > 0
    assert cost.peak_mib == 0 or 5 < cost.peak_mib < 2000


def test_a_script_that_fails_is_an_error_with_its_words() -> None:
    with pytest.raises(UserError, match=r"prepare.py ended with 2: .*--from"):
        run_script(["prepare.py", "generic", "--out", "nowhere"])


@pytest.mark.slow
def test_every_script_has_a_line(capsys: pytest.CaptureFixture) -> None:
    main(["--slices", "24", "--size", "64"])
    printed = capsys.readouterr().out
    for length in (8, 24):
        for title in ("prepare.py generic", "predict.py --no-severity", "predict.py"):
            assert f"{title}, {length} slices" in printed
    lines = [line for line in printed.splitlines() if line.startswith(("the network", "its conv"))]
    alone, bound = (float(line.split()[-2]) for line in lines)
    assert 0 <= bound <= alone


def test_a_scan_too_short_is_refused(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        main(["--slices", "3"])
    assert "at least 8" in capsys.readouterr().err
