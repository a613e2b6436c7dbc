"""The course as a static site to put online before the term: `python -m grader book OUT`.

Notebooks as students get them with the outputs of our answers, the docs, and the library as far as
students import it. Imports everything below; nothing imports it but the command.
"""
