"""The targets are measured on the very answers that are handed out."""

from grader.course import targets


def test_definitions_are_those_of_the_solution_up_to_its_training(monkeypatch):
    ran = []
    monkeypatch.setattr(
        targets,
        "read_solution",
        lambda path: [
            ran.append(path) or type("Cell", (), {"kind": "markdown", "source": "not python"}),
            type("Cell", (), {"kind": "code", "source": "answer = 42"}),
            type("Cell", (), {"kind": "code", "source": "plt.plot(answer)"}),
            type("Cell", (), {"kind": "code", "source": "history = fit(answer)"}),
        ],
    )
    names = targets.definitions("03")
    assert ran[0].name == "03_speakers.py"
    assert names["answer"] == 42
    assert "history" not in names
