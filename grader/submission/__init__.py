"""Read and repair any submission into a `Submission`; nothing of it runs.

Correct work survives damage by editors, downloads and mail programs; every repair is reported to
the student.
"""

from grader.submission.reading import read_submissions

__all__ = ["read_submissions"]
