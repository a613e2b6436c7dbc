"""A class at once: who handed in what, graded by evaluator processes, and what came of it.

Folders of submissions, schedulers and stores; it imports everything but selftest.
"""
