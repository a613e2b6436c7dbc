"""Assignment 2."""
