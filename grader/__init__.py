"""The grader, for staff only: started by `python -m grader` or pytest.

The path of one check, from a file handed in to points:

    process     what it does                                            where
    command     finds submissions, keeps reports, writes tables         batch/grade_class, reports/
      | JSON line: a job
    evaluator   has torch, pytest, hidden data; forks for each job     batch/evaluator
      | fork
    job         reads the file: notebook, script, zip -> definitions    batch/job, submission/
                runs the hidden checks as pytest tests                  grading/in_process, plugin
                makes hidden inputs and expected values                 course/test_NN, core/seed
      | messages: calls and tensors out, tensors back, never a verdict  sandbox/connection, wire
    server      forks a session for each assignment                     sandbox/server, session
      | fork, confined
    worker      runs the student's code; what passes shares a process  sandbox/worker
      | values back to the job
    job         compares; a Failure is a fact and a hint; points        grading/feedback, plugin

`pytest grader/ --submission PATH` is the job without command and evaluator around it.

Each folder may import those before it, and `kws`:
core, adapters < submission < sandbox < authoring < reports < grading < course < batch < selftest
< book.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]  # of the repository
