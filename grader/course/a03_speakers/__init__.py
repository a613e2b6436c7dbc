"""Assignment 3."""
