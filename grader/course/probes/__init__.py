"""Accuracy of trained weights, and training by the grader."""
