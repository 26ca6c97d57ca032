"""The section semi_supervised of the configuration."""

from typing import Annotated, Literal

from pydantic import Field

from utils.config_base import Count, Fraction, Name, NotNegative, Positive, Section


class StrongConfig(Section):
    """The strong view of slices without labels; see training.strong_view."""

    brightness: NotNegative
    contrast: Annotated[float, Field(ge=0, lt=1)]
    noise: NotNegative
    blur: NotNegative


class SemiSupervisedConfig(Section):
    """Learning from slices without labels; see training/procedures/."""

    selection: Literal["random", "reliable"]
    teacher: Name | None
    slices_per_round: Count
    rounds: Count | None
    epochs_per_round: Count
    student_epochs: Count | None
    fine_tune_epochs: Count | None
    flips: bool
    soft_labels: bool
    lesion_threshold: Annotated[float, Field(ge=0.5, lt=1)]
    background_threshold: Annotated[float, Field(ge=0.5, lt=1)]
    batch_size: Count
    weight: Positive
    ramp_up: NotNegative
    cutmix: Fraction
    strong: StrongConfig
    collapse: Annotated[float, Field(ge=0, lt=1)]
