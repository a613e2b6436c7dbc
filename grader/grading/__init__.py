"""One check graded: its marker, its fixtures, its failure in words, its points.

Runs inside pytest.
"""
