"""A class at once: who handed in what, graded by several evaluators, and what came of it."""
