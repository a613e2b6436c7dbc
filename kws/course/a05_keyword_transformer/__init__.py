"""Assignment 5."""
