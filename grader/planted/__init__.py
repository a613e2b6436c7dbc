"""Planted mistakes, other right answers, attacks, broken files: what `grader.selftest` grades."""
