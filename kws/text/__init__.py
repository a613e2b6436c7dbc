"""Texts as numbers: the alphabet of a recognizer, and word errors."""
