"""Plain data that all of the grader shares: the secret seed, outcomes, text from strangers.

Nothing here starts a process or knows pytest; it imports `kws` only.
"""
