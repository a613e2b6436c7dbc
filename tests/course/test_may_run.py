"""What runs of the cells around the answers: `kws check` and the grader agree on each statement."""

import pytest

from grader.submission.selection import select_pieces
from kws.student.cell_process import Kernel
from tests.grader.conftest import code_beside
from tests.grader.submission.conftest import found_in

IMPORTS = code_beside(__file__)["imports"]
ANSWER = "def answer():\n    return made"
RUN = [
    "made = torch.arange(80)",
    "made = torch.zeros(3) + 1",
    "made = torch.finfo(torch.float32).eps",
    "made = np.linspace(0, 1, 5)",
    "made = partial(max, 3)",
    "made = 'yes no'.split()",
    "made: int = 3",
    "made = {'a': math.sqrt(2)}\nmade.update(b=1)",
    "made = Config(size=81)",
    "if torch.cuda.is_available():\n    made = 'cuda'\nelse:\n    made = 'cpu'",
    "try:\n    import soundfile as made\nexcept ImportError:\n    made = None",
    "def made(x):\n    return x",
    "made = []\nfor n in range(3):\n    made.append(n)",
    "made = make(80)",
    "made = make(3) + make(4)",
    "TABLE = make(80)\nmade = TABLE[3]",
    "TABLE = make(80)\n\n\ndef made(x=TABLE):\n    return x",
    "SEED = make(1)\nTABLE = make(len(SEED))\nmade = make(len(TABLE))",
]
STAY = [
    "unused = make(80)",
    "unused = open('x')",
    "for n in range(3):\n    unused = make(n)",
    "while False:\n    unused = 1",
    "with open(os.devnull) as unused:\n    pass",
    "if __name__ == '__main__':\n    unused = 1",
    "for unused in range(10**9):\n    pass",
]


def made_by_kws_check(statements: str) -> set[str]:
    messages: list[dict] = []
    kernel = Kernel(messages.append)
    kernel.run(1, IMPORTS, "definitions")
    kernel.run(2, statements, "definitions")
    kernel.run(3, ANSWER, "whole")
    assert not messages
    assert not kernel.failed
    return {"made", "unused"} & vars(kernel.module).keys()


def made_by_the_grader(statements: str) -> set[str]:
    pieces = select_pieces(found_in(IMPORTS, statements, ANSWER), ["answer"]).pieces
    return {"made", "unused"} & {name for piece in pieces for name in piece.names}


@pytest.mark.parametrize("statements", RUN + STAY)
def test_what_an_answer_may_count_on_runs_in_kws_check_and_in_the_grader(statements):
    made = {"made"} if statements in RUN else set()
    assert made_by_kws_check(statements) == made_by_the_grader(statements) == made
