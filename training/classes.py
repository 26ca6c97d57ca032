"""The classes of a configuration, with their values, and the channels that they make."""

from pathlib import Path

from datasets.classes import choose_classes
from utils.config import Config, DataConfig


def find_classes(config: DataConfig) -> dict[str, int]:
    """See datasets.classes.choose_classes: value by name; {} where lesion is not divided."""
    return choose_classes(config.classes, Path(config.root))


def count_channels(config: DataConfig) -> int:
    """Channels of the network's mask: the classes with the background, or one map of lesion."""
    classes = find_classes(config)
    return 1 + len(classes) if classes else 1


def with_classes(config: Config) -> Config:
    """The configuration with the values of its classes, which dataset.json may have named.

    So a checkpoint says all, and a run that goes on over another dataset.json is another run.
    """
    classes = find_classes(config.data)
    if not classes:
        return config
    data = config.data.model_copy(update={"classes": classes})
    return config.model_copy(update={"data": data})
