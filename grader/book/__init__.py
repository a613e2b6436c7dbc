"""The course as a static site to publish before the term: `python -m grader book OUT`.

It has the notebooks with the outputs of our answers, the docs, and what students import of kws.
"""
