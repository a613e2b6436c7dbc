"""Who makes a corpus, when two want the same one."""

import json
import threading

from kws.data.embedded.provenance import corpus_folder


def test_who_comes_second_waits_and_takes_what_the_first_has_made(tmp_path):
    """Two notebooks may make the same corpus at once."""
    out, recipe = tmp_path / "corpus", {"corpus": "embedded"}
    begun, found = threading.Event(), []

    def second():
        begun.wait()
        with corpus_folder(out, "record.json", recipe) as folder:
            found.append(folder)

    thread = threading.Thread(target=second)
    thread.start()
    with corpus_folder(out, "record.json", recipe) as folder:
        begun.set()
        assert folder is not None
        assert found == []
        (folder / "record.json").write_text(json.dumps({"recipe": recipe}))
    thread.join()
    assert found == [None]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus"]
