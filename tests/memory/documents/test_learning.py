"""Learning: what is new, unchanged, changed, gone, broken, junk, hidden, in a loop, huge, cancelled."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from memory.database import Database
from memory.documents import learning
from memory.documents.learning import Documents
from memory.errors import AttuneError, NotFound
from memory.journal import Journal
from tests.memory.documents import files
from tests.support import generation


def found(documents: Documents, question: str) -> list[str]:
    return [one.text for one in documents.passages.search(question)]


def test_a_folder_is_learned_and_found_again(documents: Documents, folder: Path) -> None:
    told: list[float] = []
    report = documents.learn([folder], lambda share, what: told.append(share))
    assert [Path(path).name for path in report.added] == ["boat.txt", "garden.md", "work.html"]
    assert report.skipped == []
    assert told == sorted(told)
    assert 0.0 <= told[0] < told[-1] <= 1.0
    [pear, *_] = documents.passages.search("When does the pear tree give fruit?")
    assert pear.text == "The old pear tree gives fruit in late September."
    assert (Path(pear.path).name, pear.place, pear.heading) == ("garden.md", "line 3", "Garden")


def test_what_has_not_changed_is_skipped_and_what_has_is_replaced(documents: Documents, folder: Path) -> None:
    documents.learn([folder])
    (folder / "boat.txt").write_text("The red kayak lies behind the house.")
    os.utime(folder / "garden.md")  # touched is not changed
    report = documents.learn([folder])
    assert (len(report.replaced), len(report.unchanged), report.added) == (1, 2, [])
    assert found(documents, "red kayak") == ["The red kayak lies behind the house."]
    assert found(documents, "blue boat harbour Lindau") == []
    assert documents.passages.index.count() == len(documents.store.passage_ids())


def test_what_is_gone_is_forgotten_when_its_folder_is_learned_again(
    documents: Documents, folder: Path
) -> None:
    documents.learn([folder])
    other = folder.parent / "other.md"
    other.write_text("Something that stands outside of the folder.")
    documents.learn([other])
    (folder / "boat.txt").unlink()
    report = documents.learn([folder])
    assert [Path(path).name for path in report.forgotten] == ["boat.txt"]
    assert found(documents, "blue boat harbour") == []
    assert len(documents.store.all()) == 3


def test_a_renamed_file_stays_what_it_was_and_its_citations_with_it(
    documents: Documents, folder: Path, journal: Journal, db: Database
) -> None:
    documents.learn([folder])
    cited = documents.passages.search("Where does the blue boat lie?")
    asked = journal.add_user(journal.start_conversation().id, None, "Where?")
    reply = journal.add_reply(
        asked.conversation_id, asked.id, "In Lindau.", generation("Where?", passages=tuple(cited))
    )
    journal.rate(reply.id, 1)
    (folder / "old").mkdir()
    (folder / "boat.txt").rename(folder / "old" / "kayak.txt")
    report = documents.learn([folder])
    assert (report.moved, report.added, report.forgotten) == ([str(folder / "old" / "kayak.txt")], [], [])
    assert "1 moved or renamed" in report.text()
    [passage, *_] = documents.passages.search("Where does the blue boat lie?")
    assert (passage.path, passage.document_id) == (report.moved[0], cited[0].document_id)
    assert len(journal.ledger()) == 1
    assert journal.generation(reply.id).passages == tuple(cited)
    # a copy is a document of its own, and what is gone without one is forgotten
    (folder / "copy.txt").write_bytes((folder / "old" / "kayak.txt").read_bytes())
    assert [Path(path).name for path in documents.learn([folder]).added] == ["copy.txt"]
    (folder / "old" / "kayak.txt").unlink()
    assert len(documents.learn([folder]).forgotten) == 1
    assert journal.ledger() == []


def test_a_cancelled_learning_forgets_nothing(documents: Documents, folder: Path) -> None:
    documents.learn([folder])
    (folder / "garden.md").rename(folder / "z.md")
    assert documents.learn([folder], cancelled=lambda: True).forgotten == []
    assert len(documents.store.all()) == 3
    assert len(documents.learn([folder]).moved) == 1


def test_a_broken_file_is_named_and_the_others_are_learned(documents: Documents, folder: Path) -> None:
    (folder / "a.pdf").write_bytes(b"%PDF-1.7 broken")
    (folder / "b.pdf").write_bytes(files.pdf(["secret"], password="x"))
    (folder / "c.md").write_bytes(b"")
    report = documents.learn([folder])
    assert [Path(path).name for path, _ in report.skipped] == ["a.pdf", "b.pdf", "c.md"]
    assert len(report.added) == 3
    assert "b.pdf: it is encrypted" in report.text()


def test_a_file_that_breaks_later_keeps_what_was_learned(documents: Documents, tmp_path: Path) -> None:
    path = tmp_path / "report.pdf"
    path.write_bytes(files.pdf(["The bridge was opened in May."]))
    documents.learn([path])
    path.write_bytes(b"%PDF-1.7 broken")
    [(_, reason)] = documents.learn([path]).skipped
    assert "kept" in reason
    assert found(documents, "When was the bridge opened?") == ["The bridge was opened in May."]


def test_hidden_files_and_junk_are_left_out(documents: Documents, folder: Path) -> None:
    for name in (
        ".secret.md",
        ".git/config",
        "node_modules/x/readme.md",
        "photo.png",
        "~$work.docx",
        "a.pyc",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("This must not be learned.")
    report = documents.learn([folder])
    assert len(report.added) == 3
    assert report.skipped == []


def test_a_loop_of_links_ends(documents: Documents, folder: Path) -> None:
    (folder / "again").symlink_to(folder, target_is_directory=True)
    (folder / "copy.md").symlink_to(folder / "garden.md")
    (folder / "nowhere.md").symlink_to(folder / "missing")
    assert len(documents.learn([folder]).added) == 3


def test_the_home_itself_is_not_read(documents: Documents, home: Path, tmp_path: Path) -> None:
    (home / "notes.md").write_text("Something within the home of the agent.")
    (tmp_path / "mine.md").write_text("Something beside the home of the agent.")
    assert [Path(path).name for path in documents.learn([tmp_path]).added] == ["mine.md"]


def test_a_huge_file_is_named(documents: Documents, folder: Path) -> None:
    with (folder / "huge.txt").open("wb") as file:
        file.truncate(learning.MOST_BYTES + 1)
    [(path, reason)] = documents.learn([folder]).skipped
    assert path.endswith("huge.txt")
    assert "64 MiB" in reason


def test_a_long_text_without_any_break_is_learned(documents: Documents, tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_text("word" * 50_000)
    assert documents.learn([path]).passages == 500


def test_cancel_leaves_whole_files(documents: Documents, folder: Path) -> None:
    seen: list[str] = []

    def enough() -> bool:
        return len(seen) > 2

    report = documents.learn([folder], lambda share, what: seen.append(what), enough)
    assert report.cancelled
    assert 0 < len(report.added) < 3
    assert {one.path for one in documents.store.all()} == set(report.added)
    assert documents.learn([folder]).unchanged == report.added


def test_a_path_that_is_not_there_is_one_sentence(documents: Documents, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="check its name"):
        documents.learn([tmp_path / "missing"])


def test_a_path_that_nobody_can_look_at_is_one_sentence(
    documents: Documents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for act in (lambda path: documents.learn([path]), documents.forget):
        with pytest.raises(AttuneError, match="write out the path"):
            act(Path("~nobody-of-this-name/notes"))
    with pytest.raises(AttuneError, match=r"name too long.*check its name"):
        documents.learn([tmp_path / ("x" * 300)])
    with pytest.raises(NotFound, match="check its name"):
        documents.learn([tmp_path / "\0"])

    def closed(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", closed)  # whoever runs the tests may be allowed to look
    with pytest.raises(AttuneError, match=r"Permission denied.*may open the folders"):
        documents.learn([tmp_path / "closed" / "notes.md"])


def test_progress_goes_by_the_size_of_the_files(documents: Documents, tmp_path: Path) -> None:
    for name, size in (("a.md", 100), ("b.md", 300), ("c.md", 600)):
        (tmp_path / name).write_text("word" * (size // 4))
    told: list[float] = []
    documents.learn([tmp_path], lambda share, what: told.append(round(share, 9)))
    assert {0.0, 0.1, 0.4} <= set(told)
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_forgetting_a_folder_forgets_what_is_below_it(documents: Documents, folder: Path) -> None:
    documents.learn([folder])
    assert len(documents.forget(folder)) == 3
    assert documents.store.all() == []
    assert documents.passages.index.count() == 0
    with pytest.raises(NotFound, match="--list"):
        documents.forget(folder)


def test_a_folder_of_a_similar_name_stays(documents: Documents, folder: Path) -> None:
    other = folder.parent / "notes-old"
    other.mkdir()
    (other / "x.md").write_text("Another note that is to stay here.")
    documents.learn([folder, other])
    documents.forget(folder)
    assert [Path(one.path).name for one in documents.store.all()] == ["x.md"]
