"""Planted mistakes and other right answers: edits of our solutions that the self-test grades."""
