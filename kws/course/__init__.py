"""The course: one folder an assignment, and beside them what all of them share.

An assignment's folder holds its contract (what is done with an answer, in the notebook and when it
is graded), hints, goldens and the notebook as it was released. Pure torch; no answer to a task is
imported here, and no expected value is computed here.
"""
