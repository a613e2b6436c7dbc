"""What an author of assignments edits: checks, probes, hidden data, mistakes, attacks, targets."""
