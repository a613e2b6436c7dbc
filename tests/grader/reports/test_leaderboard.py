"""The leaderboard: who counts with what, how often, and by which name."""

import json
from dataclasses import replace

import pytest

from grader.batch.output import LEADERBOARD, RULES, Store
from grader.reports.leaderboard import LeaderboardEntry, measured_check, rank
from kws.errors import UsageError
from tests.grader.batch.made_up import check, report_of

RULES_TEXT = '[leaderboard]\nentries = 2\n[leaderboard.names]\nu2000 = "night <owl>"\n'


def hand_in(store: Store, student: str, digest: str, correct: int, seed: str = "s") -> None:
    measured = replace(check("5.6-accuracy", 8, 4), measured=(correct, 100))
    report = report_of(measured, student=student, assignment="05", digest=digest, seed_id=seed)
    store.keep(report.to_json())


@pytest.fixture
def store(tmp_path):
    (tmp_path / RULES).write_text(RULES_TEXT, encoding="utf-8")
    return Store(tmp_path)


def entries_of(store: Store) -> dict[str, list[int]]:
    table = json.loads((store.out / LEADERBOARD).read_text(encoding="utf-8"))["05"]
    return {who: [entry["correct"] for entry in own] for who, own in table.items()}


def test_each_hand_in_is_a_look_up_to_their_number_and_the_best_one_counts(store):
    for digest, correct in (("a", 80), ("a", 80), ("b", 70), ("c", 99)):
        hand_in(store, "u2000", digest, correct)
        lines = store.write_leaderboard()
    assert entries_of(store) == {"u2000": [80, 70]}
    assert "1 measured after their 2 entries" in lines[0]
    page = (store.out / "leaderboard.html").read_text(encoding="utf-8")
    assert "80.0 %" in page
    assert "99.0" not in page
    hand_in(store, "u2000", "c", 60, seed="another")  # other hidden examples
    store.write_leaderboard()
    assert entries_of(store) == {"u2000": [60]}


def test_only_chosen_names_are_shown_each_beside_its_interval(store):
    hand_in(store, "u2000", "a", 90)
    hand_in(store, "u2001", "b", 95)
    hand_in(store, "u2002", "c", 50)
    store.write_leaderboard()
    page = (store.out / "leaderboard.html").read_text(encoding="utf-8")
    assert "night &lt;owl&gt;" in page
    assert not any(name in page for name in ("u2000", "u2001", "u2002"))
    rows = page.split("<tr>")[2:]
    assert [row.count(">=</td>") for row in rows] == [0, 1, 0]  # 95, 90, 50 of 100
    assert "82.6–94.5" in rows[1]


def test_equal_shares_have_one_rank():
    entries = {
        who: [LeaderboardEntry(digest="d", seed_id="s", correct=c, n=n)]
        for who, c, n in (("a", 1, 2), ("b", 3, 4), ("c", 2, 4), ("d", 1, 4))
    }
    assert [f"{place}{who}" for place, who, _ in rank(entries)] == ["1b", "2a", "2c", "4d"]


def test_what_is_ranked_is_the_last_share_that_was_measured_retraining_aside():
    first, last = (replace(check(name, 2, 2), measured=(k, 9)) for name, k in (("a", 3), ("b", 4)))
    again = replace(check("c", 2, 2), measured=(5, 9), retrain=True)
    assert measured_check(report_of(first, last, check("d", 1, 1), again)) == last
    assert measured_check(report_of(check("d", 1, 1), again)) is None


def test_nothing_measured_or_a_damaged_file_ends_in_one_sentence(store):
    store.keep(report_of(check("2.1-values", 3, 2)).to_json())
    with pytest.raises(UsageError, match="no measured accuracies"):
        store.write_leaderboard()
    hand_in(store, "u2000", "a", 90)
    (store.out / LEADERBOARD).write_text("{", encoding="utf-8")
    with pytest.raises(UsageError, match="remove it to start without entries"):
        store.write_leaderboard()
    assert (store.out / LEADERBOARD).read_text(encoding="utf-8") == "{"
