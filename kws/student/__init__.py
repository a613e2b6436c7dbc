"""What runs on a student's machine, offline, on saved notebooks: check, hint, progress, hand in."""
