"""Build a class of a registry by name, with its own keyword arguments checked first."""

import inspect
from collections.abc import Mapping
from typing import Any, TypeVar

from utils.errors import UserError
from utils.suggest import suggestion

T = TypeVar("T")


def create_from(
    registry: Mapping[str, type[T]], name: str, args: Mapping[str, Any], *, key: str
) -> T:
    """An instance of registry[name].

    Args:
        registry: Classes by name.
        name: The name that the user chose.
        args: Keyword arguments for the class.
        key: The configuration key that holds the name, such as model.name; arguments are spoken
            of as <section>.args.<argument>.

    Raises:
        UserError: No such name, or an argument that the class does not take; both name the
            nearest known one.
    """
    if name not in registry:
        known = ", ".join(sorted(registry))
        raise UserError(f"{key}: there is no {name!r}{suggestion(name, registry)}; known: {known}")
    parameters = inspect.signature(registry[name]).parameters
    for argument in args:
        if argument not in parameters:
            raise UserError(
                f"{key.split('.')[0]}.args.{argument}: {name} takes no such argument"
                f"{suggestion(argument, parameters)}; known: {', '.join(parameters)}"
            )
    return registry[name](**args)
