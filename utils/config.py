"""The typed configuration: every key with its type and range. Values live in resources/."""

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, field_validator, model_validator

from utils.config_base import Count, Fraction, Name, NotNegative, Positive, Section
from utils.config_semi_supervised import SemiSupervisedConfig

LungSource = Literal["given", "derived", "none"]


def _check_plain(args: dict[str, Any]) -> dict[str, Any]:
    """Refuse what no file of settings can give back: dates, tensors, NaN, a section in itself."""
    try:
        json.dumps(args, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError("must hold finite numbers, texts, booleans, lists, sections") from error
    return args


Args = Annotated[dict[str, Any], AfterValidator(_check_plain)]


class AugmentationConfig(Section):
    """Random changes of training slices; see datasets.transforms.Augmentation."""

    horizontal_flip: Fraction
    rotation: Annotated[float, Field(ge=0, le=180)]
    translation: Fraction
    scale: Annotated[float, Field(ge=0, lt=1)]
    brightness: NotNegative
    contrast: Annotated[float, Field(ge=0, lt=1)]
    noise: NotNegative
    low_resolution: Annotated[float, Field(ge=0, lt=1)]
    blur: Annotated[float, Field(ge=0, le=16)]
    curve: Annotated[float, Field(ge=0, lt=1)]
    gamma: NotNegative
    window: Annotated[float, Field(ge=0, lt=0.5)]


class ExtraData(Section):
    """A further data folder, whose training slices are mixed with those of data.root."""

    root: Name
    share: Annotated[float, Field(gt=0, lt=1)] | None = None
    lung: LungSource | None = None


class DataConfig(Section):
    """Where the slices are and how they are read."""

    root: Name
    image_size: list[Annotated[int, Field(ge=32)]]
    crop: Literal["body", "lungs"] | None
    blur: Annotated[float, Field(ge=0, le=16)]
    gamma: Annotated[float, Field(ge=0.1, le=10)]
    lesion_values: Annotated[list[Annotated[Count, Field(lt=2**16)]], Field(min_length=1)] | None
    classes: Literal["all"] | list[str] | dict[str, int] | None
    guide: Name | None
    edge_width: Count
    lung: LungSource
    extra: list[ExtraData]
    allow_patient_overlap: bool
    num_workers: Annotated[int, Field(ge=0)]
    cache_mib: Annotated[int, Field(ge=0)]
    augment_on_device: bool
    augmentation: AugmentationConfig

    @field_validator("image_size", mode="before")
    @classmethod
    def _square(cls, value: Any) -> Any:
        return [value, value] if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("image_size")
    @classmethod
    def _two_sides(cls, value: list[int]) -> list[int]:
        if len(value) != 2:
            raise ValueError("give one side, or [height, width]")
        return value

    @field_validator("classes", mode="before")
    @classmethod
    def _named_classes(cls, value: Any) -> Any:
        # In words here: of a union of types the errors are of all its parts.
        names = list(value) if isinstance(value, list | dict) else []
        if value not in (None, "all") and not names:
            raise ValueError("give all, a list of names, or a value by name, such as {ggo: 1}")
        if not all(isinstance(name, str) and name for name in names):
            raise ValueError("every class must have a name")
        if len(set(names)) < len(names):
            raise ValueError("a class stands twice")
        if isinstance(value, dict):
            values = list(value.values())
            fits = [type(v) is int and 1 <= v < 2**16 for v in values]
            if not all(fits) or len(set(values)) < len(values):
                raise ValueError("give every class a value of its own, an integer from 1")
        return value

    @field_validator("extra")
    @classmethod
    def _room_for_root(cls, value: list[ExtraData]) -> list[ExtraData]:
        if sum(extra.share or 0 for extra in value) >= 1:
            raise ValueError("the shares leave nothing for data.root; their sum must be below 1")
        return value

    @model_validator(mode="after")
    def _one_meaning(self) -> "DataConfig":
        if self.classes is not None and self.lesion_values is not None:
            raise ValueError("classes and lesion_values exclude each other; set one to null")
        return self


class ModelConfig(Section):
    """Which network, and what it starts from; its constructor validates args."""

    name: str
    weights: Name | None
    args: Args


class GuideConfig(Section):
    """The first stage of training.procedure guided: a checkpoint, or a network to train."""

    checkpoint: Name | None = None
    name: str | None = None
    args: Args = Field(default_factory=dict)


class LossConfig(Section):
    """Which loss; its constructor validates args."""

    function: str
    args: Args


class OptimizerConfig(Section):
    """Adam."""

    learning_rate: Positive
    weight_decay: NotNegative


class SchedulerConfig(Section):
    """ReduceLROnPlateau on the validation loss, or a factor at set epochs."""

    factor: Annotated[float, Field(gt=0, lt=1)]
    patience: Annotated[int, Field(ge=0)]
    milestones: list[Annotated[int, Field(ge=2)]] | None


class EarlyStoppingConfig(Section):
    """Stop when validation Dice, of classes the mean, has not improved."""

    patience: Count


class TrainingConfig(Section):
    """The loop."""

    procedure: Literal["supervised", "guided", "self_training", "mean_teacher", "fixmatch"]
    batch_size: Count
    accumulation_steps: Count
    epochs: Count
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    device: Literal["auto", "cpu", "cuda"]
    precision: Literal["auto", "fp32", "bf16", "fp16"]
    channels_last: bool
    compile: bool
    activation_checkpointing: bool
    sync_batch_norm: bool
    deterministic: bool
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None
    ema_warm_up: bool
    gradient_clip: Positive | None
    gradient_clip_by: Literal["norm", "value"]
    scales: Annotated[list[Annotated[float, Field(gt=0, le=4)]], Field(min_length=1)]


class EvaluationConfig(Section):
    """How predictions are scored."""

    empty_target: Literal["one", "zero", "nan"]
    threshold: Annotated[float, Field(gt=0, lt=1)]
    tolerance_mm: NotNegative
    tolerance_px: NotNegative
    min_lesion_size: Annotated[int, Field(ge=0)]
    batch_size: Count


class CheckpointConfig(Section):
    """Where runs are kept."""

    save_dir: Name
    every_steps: Count | None


class LoggingConfig(Section):
    """What TensorBoard gets."""

    image_every: Annotated[int, Field(ge=0)]
    num_images: Annotated[int, Field(ge=1, le=16)]


class Config(Section):
    """A whole experiment, resolved."""

    data: DataConfig
    model: ModelConfig
    guide: GuideConfig
    loss: LossConfig
    optimizer: OptimizerConfig
    scheduler: SchedulerConfig
    early_stopping: EarlyStoppingConfig
    training: TrainingConfig
    semi_supervised: SemiSupervisedConfig
    evaluation: EvaluationConfig
    checkpoint: CheckpointConfig
    logging: LoggingConfig


def known_keys(section: type[BaseModel] = Config, prefix: str = "") -> list[str]:
    """Every dotted key of the configuration, sections included."""
    keys = []
    for name, field in section.model_fields.items():
        keys.append(f"{prefix}{name}")
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys += known_keys(field.annotation, f"{prefix}{name}.")
    return keys
