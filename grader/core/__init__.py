"""Plain data that all of the grader shares; nothing here starts a process or imports pytest."""
