"""Is the grader fit to grade? The self-test, the demonstration, and the class that it grades."""
