"""Assignment 8."""
