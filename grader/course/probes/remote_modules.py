"""A student's module, if a call made one, and how many numbers it can learn."""

from typing import Any

from grader.grading.feedback import Failure
from grader.sandbox import RemoteModule


def built(student: Any, name: str, *args: Any, **kwargs: Any) -> RemoteModule:
    """What `student.name(...)` makes, if it is a module."""
    module = getattr(student, name)(*args, **kwargs)
    if not isinstance(module, RemoteModule):
        shown = ", ".join([*map(str, args), *(f"{key}={value}" for key, value in kwargs.items())])
        raise Failure(f"{name}({shown}) is no nn.Module", "does the class inherit nn.Module?")
    return module


def trainable(module: RemoteModule) -> int:
    """Trainable numbers; a shared tensor counts once."""
    found = module.parameters().values()
    return sum(one.numel for one in found if one.requires_grad and one.same_as is None)
