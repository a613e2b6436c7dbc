"""Read and repair any submission into a `Submission`; nothing of it runs.

Correct work survives damage by editors, downloads and mail programs; a report names each repair.
"""

from grader.submission.reading import read_submissions

__all__ = ["read_submissions"]
