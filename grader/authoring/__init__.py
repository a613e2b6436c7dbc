"""From one source per assignment to what students get: notebooks, and a kit that installs alone.

`build` makes a student's notebook of a solution, `release` writes or checks them all and packs the
kit, `leaks` reads the kit for what must not be in it, `reference` extracts our own answers, which
replace a student's failed earlier task. It imports core, adapters and submission, and runs nothing
that was handed in.
"""
