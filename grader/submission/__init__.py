"""From anything a student hands in to a `Submission`: read, repaired, told; nothing of it runs.

Correct work keeps its definitions whatever an editor, a download or a mail program did to the file,
and every repair is a sentence that the student reads.
"""

from grader.submission.reading import read_submissions

__all__ = ["read_submissions"]
