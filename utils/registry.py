"""Build a class of a registry by name, with its own keyword arguments checked first."""

import inspect
from collections import UserDict
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from utils.errors import UserError, suggestion
from utils.messages import shown

T = TypeVar("T")
_STRICT = partial(TypeAdapter, config=ConfigDict(strict=True))


class Classes(UserDict[str, type[T]]):
    """Classes by name. One that is given as module:class is imported when it is first asked for."""

    def __getitem__(self, name: str) -> type[T]:
        found = self.data[name]
        if isinstance(found, str):
            module, _, attribute = found.partition(":")
            found = self.data[name] = getattr(import_module(module), attribute)
        return found


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
        UserError: No such name or argument, answered with the nearest known one; or a value
            that does not fit the argument's annotation.
    """
    if name not in registry:
        known = ", ".join(sorted(registry))
        raise UserError(f"{key}: there is no {name!r}{suggestion(name, registry)}; known: {known}")
    parameters = inspect.signature(registry[name]).parameters
    for argument, value in args.items():
        place = f"{key.split('.')[0]}.args.{argument}"
        if argument not in parameters:
            raise UserError(
                f"{place}: {name} takes no such argument{suggestion(argument, parameters)}; "
                f"known: {', '.join(parameters)}"
            )
        try:
            _STRICT(parameters[argument].annotation).validate_python(value)
        except ValidationError as error:
            raise UserError(f"{place}: {error.errors()[0]['msg']}, not {shown(value)}") from error
    return registry[name](**args)
