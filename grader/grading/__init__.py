"""One check graded, for any course: its marker, its fixtures, its failure in words, its points."""
