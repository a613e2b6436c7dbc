"""Tests of the grader as a whole: selftest, demo, a class of ten."""
