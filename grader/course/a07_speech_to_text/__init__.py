"""Assignment 7."""
