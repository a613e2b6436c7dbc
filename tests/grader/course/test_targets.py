"""The targets are measured on the very answers that are handed out."""

from types import SimpleNamespace

from grader.course import targets


def test_definitions_are_those_of_the_solution_without_its_trainings(monkeypatch):
    def cell(source, kind="code", tags=()):
        return SimpleNamespace(kind=kind, source=source, tags=tags)

    ran = []
    monkeypatch.setattr(
        targets,
        "read_solution",
        lambda path: [
            ran.append(path) or cell("not python", kind="markdown"),
            cell("answer = 42"),
            cell("plt.plot(answer)"),
            cell("history = fit(answer)"),
            cell("recipe = 43", tags=("export",)),
            cell("curves = fit(recipe)"),
        ],
    )
    names = targets.definitions("03")
    assert ran[0].name == "03_speakers.py"
    assert (names["answer"], names["recipe"]) == (42, 43)
    assert not {"history", "curves"} & set(names)
