"""A recipe with a warm-up, as assignments 6 and 8 hand it to `fit`."""

from collections.abc import Iterator, Mapping
from typing import Any

from kws.course.trial import is_whole


def within_reason(recipe: Any, most_steps: int, largest_batch: int) -> Iterator[tuple[str, object]]:
    """Of a recipe with a warm-up: its names, and whether each number is one to train with."""
    yield "is recipe() a dictionary?", isinstance(recipe, Mapping)
    yield "the names in recipe()", sorted(map(str, recipe))
    numbers = [recipe[name] for name in ("steps", "batch_size", "warmup_steps")]
    yield "are steps, batch_size and warmup_steps whole numbers?", all(map(is_whole, numbers))
    steps, size = recipe["steps"], recipe["batch_size"]
    yield f"are there 1 to {most_steps:,} steps?", bool(1 <= steps <= most_steps)
    yield "is warmup_steps between 1 and steps - 1?", bool(1 <= recipe["warmup_steps"] < steps)
    yield f"is batch_size between 2 and {largest_batch:,}?", bool(2 <= size <= largest_batch)
    yield "is lr between 0.000001 and 0.1?", bool(1e-6 <= recipe["lr"] <= 0.1)
