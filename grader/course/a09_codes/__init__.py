"""Assignment 9."""
