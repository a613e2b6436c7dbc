"""Grade a class: match submissions to students, grade them in evaluator processes, write results.

Folders of submissions, schedulers and stores; it imports everything but selftest.
"""
