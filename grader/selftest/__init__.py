"""What proves that the grader grades: the selftest, the demo, a class of ten. Imports all of it."""
