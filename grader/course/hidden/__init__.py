"""Hidden data of the checks: no student has it, and all of it follows from one secret seed."""
