"""The store against a model of dicts: whatever is said, rated, corrected, forgotten, killed and damaged."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from memory.errors import NothingToRestore
from memory.facts import Facts
from memory.journal import Journal
from memory.rescue.backups import Backups
from memory.rescue.restore import open_safely
from tests.memory.damaging import pages_of, ruin
from tests.support import generation

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)
# Above a page, so that a table soon has several, and overflow.
SIZES = st.sampled_from([1, 30, 300])
TABLES = ("message", "feedback", "memory", "generation", "conversation", "message_parent", "sqlite_master")


class Store(RuleBasedStateMachine):
    """`messages` (id: text), `ratings` (event id: (reply, value), in order), `facts` (id: text, while they
    hold), `past` (ids that hold no longer), `gone` (texts forgotten for good)."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="attune-machine-"))
        self.lives = 0
        self.home = self.folder / "home-0"
        self.messages: dict[str, str] = {}
        self.replies: list[str] = []
        self.ratings: dict[str, tuple[str, int]] = {}
        self.facts: dict[str, str] = {}
        self.past: set[str] = set()
        self.gone: set[str] = set()
        self.copied: set[str] | None = None  # the ids in the newest backup
        self.open()
        self.talk = self.journal.start_conversation("machine").id

    def open(self) -> list[str]:
        self.db, said = open_safely(self.home)
        self.journal, self.memories = Journal(self.db), Facts(self.db)
        return said

    @property
    def ids(self) -> set[str]:
        return {*self.messages, *self.ratings, *self.facts, *self.past}

    @rule(text=TEXTS, size=SIZES)
    def say(self, text: str, size: int) -> None:
        text = f"said {text}" * size
        asked = self.journal.add_user(self.talk, None, text)
        reply = self.journal.add_reply(self.talk, asked.id, text[::-1], generation())
        self.messages |= {asked.id: text, reply.id: text[::-1]}
        self.replies.append(reply.id)

    @precondition(lambda self: self.replies)
    @rule(data=st.data(), value=st.sampled_from([1, 0, -1]))
    def rate(self, data: st.DataObject, value: int) -> None:
        reply = data.draw(st.sampled_from(self.replies))
        self.ratings[self.journal.rate(reply, value).id] = reply, value

    @rule(number=st.integers(0, 30))
    def remember(self, number: int) -> None:
        text = f"fact number {number}"
        made = self.memories.remember(text)
        assert (made.id in self.facts) == (text in self.facts.values())
        self.facts[made.id] = text

    @precondition(lambda self: self.facts)
    @rule(data=st.data(), number=st.integers(31, 60))
    def correct(self, data: st.DataObject, number: int) -> None:
        old = data.draw(st.sampled_from(sorted(self.facts)))
        text = f"fact number {number}"
        if text in self.facts.values():
            return
        new = self.memories.edit(old, text)
        del self.facts[old]
        self.past.add(old)
        self.facts[new.id] = text

    @precondition(lambda self: self.facts)
    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(sorted(self.facts)))
        erased = self.memories.forget(one)
        self.gone |= set(erased)
        del self.facts[one]
        self.past -= set(erased)
        self.copied = None
        assert Backups(self.home).all() == []

    @rule()
    def back_up(self) -> None:
        Backups(self.home).make(self.db)
        self.copied = self.ids

    @rule()
    def reopen(self) -> None:
        self.db.close()
        assert self.open() == []

    @rule(spilled=st.booleans())
    def kill(self, spilled: bool) -> None:
        """kill -9 in the midst of a transaction: what it leaves is the files as they are at that moment."""
        self.lives += 1
        after = self.folder / f"home-{self.lives}"
        connection = self.db.connection()
        if spilled:  # what is not committed is in the log too
            connection.execute("PRAGMA cache_size = 1")
        connection.execute("BEGIN IMMEDIATE")
        self.journal.add_user(self.talk, None, "never acknowledged " * (2_000 if spilled else 1))
        shutil.copytree(self.home, after, ignore=shutil.ignore_patterns("attune.db-shm"))
        connection.execute("ROLLBACK")
        self.db.close()
        self.home = after
        assert self.open() == []

    @rule(table=st.sampled_from(TABLES), at=st.floats(0, 0.999), byte=st.sampled_from([b"\0", b"\xa5"]))
    def damage(self, table: str, at: float, byte: bytes) -> None:
        """A page of a table, of an index or of the list of tables is ruined while nobody looks."""
        self.db.close()
        path = self.home / "attune.db"
        sound = path.read_bytes()
        pages = pages_of(self.home, table)
        ruin(path, [pages[int(at * len(pages))]], byte)
        try:
            [sentence] = self.open()
        except NothingToRestore:
            assert self.copied is None
            path.write_bytes(sound)
            assert self.open() == []
            return
        there = {
            row["id"]
            for name in ("message", "feedback", "memory")
            for row in self.db.rows(f"SELECT id FROM {name}")
        }
        lost = self.ids - there
        if table == "message_parent":
            assert lost == set()
        assert not lost & (self.copied or set())
        assert ("nothing that was acknowledged is missing" in sentence) == (
            not lost and "may be missing" not in sentence
        )
        self.messages = {one: text for one, text in self.messages.items() if one in there}
        self.replies = [one for one in self.replies if one in there]
        self.ratings = {one: rating for one, rating in self.ratings.items() if one in there}
        # of a fact whose newest row is lost, the backup's may hold again
        alive = {memory.id: memory.text for memory in self.memories.all()}
        revived = set(alive) - set(self.facts)
        assert revived <= (self.copied or set())
        assert not revived or "may have been corrected since" in sentence or "may be missing" in sentence
        self.facts, self.past = alive, {*self.facts, *self.past} & there - set(alive)
        if not self.journal.conversations():
            self.talk = self.journal.start_conversation("again").id
        else:
            self.talk = self.journal.conversations()[0].id
        if self.copied is not None:
            self.copied &= there

    @invariant()
    def nothing_is_lost_and_nothing_comes_back(self) -> None:
        if not hasattr(self, "db"):
            return
        said = {
            message.id: message.content
            for talk in self.journal.conversations()
            for message in self.journal.messages(talk.id)
        }
        assert said == self.messages
        assert {one.id: (one.reply_id, one.value) for one in self.journal.feedback()} == self.ratings
        assert {one.id: one.text for one in self.memories.all()} == self.facts
        assert {one.id for one in self.memories.all(include_past=True)} == {*self.facts, *self.past}
        assert not self.gone & {*self.facts, *self.past}
        newest = dict(self.ratings.values())
        for reply in self.replies[-3:]:
            thumb = self.journal.effective(reply)
            assert (thumb.value if thumb else 0) == newest.get(reply, 0)

    def teardown(self) -> None:
        if hasattr(self, "db"):
            assert self.db.check() == []
            self.db.close()
            shutil.rmtree(self.folder, ignore_errors=True)


Store.TestCase.settings = settings(
    max_examples=30,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestStore = Store.TestCase
