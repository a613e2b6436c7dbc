"""One check graded: its marker, its fixtures, its failure in words, its points.

All that runs inside pytest and fits any course; it imports everything below, and no check.
"""
