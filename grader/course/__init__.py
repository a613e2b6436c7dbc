"""What an author of assignments edits.

Hidden checks, probes, hidden data, mistakes, attacks, targets.
"""
