"""Assignment 6."""
