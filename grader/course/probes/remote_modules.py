"""A student's module, if a call made one, and the number of its trainable parameters."""

from typing import Any

from grader.grading.feedback import Failure
from grader.sandbox import RemoteModule


def built(student: Any, name: str, *args: Any, **kwargs: Any) -> RemoteModule:
    """What `student.name(...)` makes, if it is a module."""
    module = getattr(student, name)(*args, **kwargs)
    if not isinstance(module, RemoteModule):
        shown = ", ".join([*map(str, args), *(f"{key}={value}" for key, value in kwargs.items())])
        raise Failure(f"{name}({shown}) is not an nn.Module", "does it inherit from nn.Module?")
    return module


def trainable(module: RemoteModule) -> int:
    """The number of trainable parameters; a shared tensor counts once."""
    found = module.parameters().values()
    return sum(one.numel for one in found if one.requires_grad and one.same_as is None)
