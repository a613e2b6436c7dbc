"""Grade one check of any course: marker, fixtures, failure message, points."""
