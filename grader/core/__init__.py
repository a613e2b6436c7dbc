"""Plain data that all of the grader shares: the secret seed, outcomes, text from strangers."""
