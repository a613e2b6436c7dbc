"""Planted mistakes and other right answers: edits of our solutions, for the self-test."""
