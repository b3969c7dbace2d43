"""The tables, as named migrations: recorded when applied, only ever appended to, never edited."""

from __future__ import annotations

from typing import NamedTuple

from memory.documents.schema import DOCUMENTS


class Migration(NamedTuple):
    """`name` starts with the room that owns it ("memory-0001-..."); `sql` may hold many statements."""

    name: str
    sql: str


JOURNAL = """
CREATE TABLE conversation (
    id TEXT PRIMARY KEY, title TEXT NOT NULL, created_at REAL NOT NULL, updated_at REAL NOT NULL,
    head_id TEXT REFERENCES message(id) ON DELETE SET NULL
) STRICT;
CREATE INDEX conversation_updated ON conversation(updated_at);
CREATE INDEX conversation_head ON conversation(head_id);

CREATE TABLE message (
    id TEXT PRIMARY KEY,
    conversation_id TEXT NOT NULL REFERENCES conversation(id) ON DELETE CASCADE,
    parent_id TEXT REFERENCES message(id) ON DELETE CASCADE,
    role TEXT NOT NULL CHECK (role IN ('user', 'assistant', 'tool')),
    content TEXT NOT NULL, created_at REAL NOT NULL, sent TEXT,
    tool_calls TEXT NOT NULL DEFAULT '[]', tool_name TEXT, complete INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE INDEX message_conversation ON message(conversation_id);
CREATE INDEX message_parent ON message(parent_id);

-- body is JSON: the fields of records.Generation that nothing is searched by.
CREATE TABLE generation (
    reply_id TEXT PRIMARY KEY REFERENCES message(id) ON DELETE CASCADE,
    base TEXT NOT NULL, adapter TEXT, body TEXT NOT NULL
) STRICT;

-- Which memories a reply was shown. No foreign key to memory: a reply may outlive what it was shown.
CREATE TABLE shown (
    reply_id TEXT NOT NULL REFERENCES message(id) ON DELETE CASCADE,
    memory_id TEXT NOT NULL,
    PRIMARY KEY (reply_id, memory_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX shown_memory ON shown(memory_id);

-- AUTOINCREMENT: a seq is never used twice, also after the newest event was erased.
CREATE TABLE feedback (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    reply_id TEXT NOT NULL REFERENCES message(id) ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (kind IN ('thumb', 'edit', 'pick')),
    value INTEGER NOT NULL CHECK (value IN (-1, 0, 1)),
    created_at REAL NOT NULL, why TEXT, text TEXT,
    other_id TEXT REFERENCES message(id) ON DELETE CASCADE,
    source TEXT NOT NULL
) STRICT;
CREATE INDEX feedback_reply ON feedback(reply_id, kind, seq);
CREATE INDEX feedback_other ON feedback(other_id);

-- What counts: the newest thumb of a reply unless it is a clear, every edit, every pick.
CREATE VIEW signal AS
    SELECT * FROM feedback AS f WHERE kind <> 'thumb' OR (value <> 0 AND NOT EXISTS (
        SELECT 1 FROM feedback AS later
        WHERE later.reply_id = f.reply_id AND later.kind = 'thumb' AND later.seq > f.seq));

-- Grows with every change of the ledger, erasures too, so that what is derived from it can be cached.
CREATE TABLE ledger_version (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL) STRICT;
INSERT INTO ledger_version VALUES (1, 0);
CREATE TRIGGER feedback_added AFTER INSERT ON feedback BEGIN
    UPDATE ledger_version SET version = version + 1;
END;
CREATE TRIGGER feedback_erased AFTER DELETE ON feedback BEGIN
    UPDATE ledger_version SET version = version + 1;
END;
"""

FACTS = """
CREATE TABLE memory (
    id TEXT PRIMARY KEY, text TEXT NOT NULL, folded TEXT NOT NULL, kind TEXT NOT NULL,
    created_at REAL NOT NULL,
    source_message_id TEXT REFERENCES message(id) ON DELETE SET NULL,
    valid_from REAL, valid_to REAL,
    superseded_by TEXT REFERENCES memory(id) ON DELETE SET NULL,
    bump_helped REAL NOT NULL DEFAULT 0, bump_hurt REAL NOT NULL DEFAULT 0
) STRICT;
-- The same fact is alive once, also when two processes save it in the same moment.
CREATE UNIQUE INDEX memory_live ON memory(kind, folded) WHERE valid_to IS NULL;
CREATE INDEX memory_superseded ON memory(superseded_by);
CREATE INDEX memory_source ON memory(source_message_id);

CREATE VIRTUAL TABLE memory_text USING fts5(
    text, memory_id UNINDEXED, tokenize = 'porter unicode61 remove_diacritics 2');
CREATE TRIGGER memory_added AFTER INSERT ON memory WHEN new.valid_to IS NULL BEGIN
    INSERT INTO memory_text (text, memory_id) VALUES (new.text, new.id);
END;
CREATE TRIGGER memory_ended AFTER UPDATE OF valid_to ON memory WHEN new.valid_to IS NOT NULL BEGIN
    DELETE FROM memory_text WHERE memory_id = new.id;
END;
CREATE TRIGGER memory_erased AFTER DELETE ON memory BEGIN
    DELETE FROM memory_text WHERE memory_id = old.id;
END;

-- Usefulness is derived from the ledger, so undoing or erasing a rating takes its effect back too.
CREATE VIEW remembered AS
    SELECT m.*, m.bump_helped + COALESCE(SUM(s.value = 1), 0) AS helped,
           m.bump_hurt + COALESCE(SUM(s.value = -1), 0) AS hurt
    FROM memory AS m
    LEFT JOIN shown ON shown.memory_id = m.id
    LEFT JOIN signal AS s ON s.reply_id = shown.reply_id AND s.kind = 'thumb'
    GROUP BY m.id;
"""

CARD = """
-- What the owner decided about a line. feature is a name of preferences.FEATURES, or 'own:<id>'.
CREATE TABLE card_choice (
    feature TEXT PRIMARY KEY, state TEXT NOT NULL CHECK (state IN ('pinned', 'struck')),
    text TEXT NOT NULL, created_at REAL NOT NULL
) STRICT;
"""

FORGETTING = """
-- What each adapter was trained on. No foreign keys: what is gone since must still be named here.
CREATE TABLE lineage (
    adapter TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('feedback', 'reply', 'memory')),
    of_id TEXT NOT NULL,
    PRIMARY KEY (adapter, kind, of_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX lineage_of ON lineage(kind, of_id);

-- Replies that no later adapter is trained on, because they knew a memory that was forgotten.
CREATE TABLE withheld (
    reply_id TEXT PRIMARY KEY REFERENCES message(id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
INSERT INTO withheld SELECT DISTINCT reply_id FROM shown WHERE memory_id NOT IN (SELECT id FROM memory);

-- Derived and not stored, so that no way of deleting can leave it behind: what an adapter was trained on
-- and the home no longer has, or has withheld since.
CREATE VIEW forgotten AS
    SELECT adapter, kind, of_id FROM lineage WHERE
        (kind = 'feedback' AND NOT EXISTS (SELECT 1 FROM feedback WHERE id = of_id))
        OR (kind = 'memory' AND NOT EXISTS (SELECT 1 FROM memory WHERE id = of_id))
        OR (kind = 'reply' AND (NOT EXISTS (SELECT 1 FROM message WHERE id = of_id)
            OR EXISTS (SELECT 1 FROM withheld WHERE reply_id = of_id)));

-- What was deleted here and may still lie elsewhere: in the write-ahead log, in the vector index.
CREATE TABLE unfinished (what TEXT PRIMARY KEY CHECK (what IN ('log', 'index'))) STRICT, WITHOUT ROWID;
CREATE TRIGGER rating_forgotten AFTER DELETE ON feedback BEGIN
    INSERT OR IGNORE INTO unfinished VALUES ('log');
END;
CREATE TRIGGER conversation_forgotten AFTER DELETE ON conversation BEGIN
    INSERT OR IGNORE INTO unfinished VALUES ('log');
END;
CREATE TRIGGER memory_forgotten AFTER DELETE ON memory BEGIN
    INSERT OR IGNORE INTO unfinished VALUES ('log'), ('index');
END;
"""

SURROUNDINGS = """
-- Where a memory stands in what was said in sequence (a chat that was brought along, turn by turn): the one
-- before it in its thread stands at position - 1. A fact that was saved by itself has no thread.
ALTER TABLE memory ADD COLUMN thread TEXT;
ALTER TABLE memory ADD COLUMN position INTEGER;
ALTER TABLE memory ADD COLUMN told_at REAL;
ALTER TABLE memory ADD COLUMN told_by TEXT;
CREATE INDEX memory_thread ON memory(thread, position) WHERE thread IS NOT NULL;

-- The row of its full text: found by number, since memory_id is not indexed there. (SQLite's own rowid
-- may change when the file is vacuumed.)
ALTER TABLE memory ADD COLUMN number INTEGER;
UPDATE memory SET number = rowid;
CREATE UNIQUE INDEX memory_number ON memory(number);

-- Memories whose vector knows a memory before them that is another one now, or none.
CREATE TABLE stale_vector (
    memory_id TEXT PRIMARY KEY REFERENCES memory(id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE VIEW memory_words AS
    SELECT m.number, m.id, m.thread, m.position, m.text, COALESCE((
        SELECT group_concat(n.text, ' ') FROM memory AS n
        WHERE n.thread = m.thread AND n.position BETWEEN m.position - 2 AND m.position + 2
            AND n.id <> m.id AND n.valid_to IS NULL), '') AS around
    FROM memory AS m WHERE m.valid_to IS NULL;

DROP TRIGGER memory_added;
DROP TRIGGER memory_ended;
DROP TRIGGER memory_erased;
DROP TABLE memory_text;
CREATE VIRTUAL TABLE memory_text USING fts5(
    text, around, memory_id UNINDEXED, tokenize = 'porter unicode61 remove_diacritics 2');
INSERT INTO memory_text (rowid, text, around, memory_id) SELECT number, text, around, id FROM memory_words;

CREATE TRIGGER memory_added AFTER INSERT ON memory BEGIN
    -- a row that is put back after damage brings its number along
    UPDATE memory SET number = (SELECT COALESCE(MAX(number), 0) + 1 FROM memory)
        WHERE id = new.id AND number IS NULL;
    INSERT INTO memory_text (rowid, text, around, memory_id)
        SELECT number, text, around, id FROM memory_words WHERE id = new.id;
    UPDATE memory_text SET around = w.around FROM memory_words AS w
        WHERE memory_text.rowid = w.number AND w.thread = new.thread AND w.id <> new.id
            AND w.position BETWEEN new.position - 2 AND new.position + 2;
    INSERT OR IGNORE INTO stale_vector
        SELECT id FROM memory_words WHERE thread = new.thread AND position = new.position + 1;
END;
CREATE TRIGGER memory_ended AFTER UPDATE OF valid_to ON memory WHEN new.valid_to IS NOT NULL BEGIN
    DELETE FROM memory_text WHERE rowid = old.number;
    UPDATE memory_text SET around = w.around FROM memory_words AS w
        WHERE memory_text.rowid = w.number AND w.thread = old.thread
            AND w.position BETWEEN old.position - 2 AND old.position + 2;
    INSERT OR IGNORE INTO stale_vector
        SELECT id FROM memory_words WHERE thread = old.thread AND position = old.position + 1;
END;
CREATE TRIGGER memory_erased AFTER DELETE ON memory BEGIN
    DELETE FROM memory_text WHERE rowid = old.number;
    UPDATE memory_text SET around = w.around FROM memory_words AS w
        WHERE memory_text.rowid = w.number AND w.thread = old.thread
            AND w.position BETWEEN old.position - 2 AND old.position + 2;
    INSERT OR IGNORE INTO stale_vector
        SELECT id FROM memory_words WHERE thread = old.thread AND position = old.position + 1;
END;
"""

VERSION = """
-- Grows with every change of which memories hold and of what they say, so that what is derived from them
-- (the vector index) is compared only when there is need. Usefulness does not count: it is not indexed.
CREATE TABLE memory_version (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL) STRICT;
INSERT INTO memory_version VALUES (1, 0);
CREATE TRIGGER memory_version_added AFTER INSERT ON memory BEGIN
    UPDATE memory_version SET version = version + 1;
END;
CREATE TRIGGER memory_version_changed AFTER UPDATE OF text, kind, valid_to ON memory BEGIN
    UPDATE memory_version SET version = version + 1;
END;
CREATE TRIGGER memory_version_erased AFTER DELETE ON memory BEGIN
    UPDATE memory_version SET version = version + 1;
END;
"""

ERASURES = """
-- How often something was erased for good. A backup with an older count still holds it (backups.py).
CREATE TABLE erasures (one INTEGER PRIMARY KEY CHECK (one = 1), count INTEGER NOT NULL) STRICT;
INSERT INTO erasures VALUES (1, 0);
CREATE TRIGGER erasure_of_message AFTER DELETE ON message BEGIN UPDATE erasures SET count = count + 1; END;
CREATE TRIGGER erasure_of_rating AFTER DELETE ON feedback BEGIN UPDATE erasures SET count = count + 1; END;
CREATE TRIGGER erasure_of_memory AFTER DELETE ON memory BEGIN UPDATE erasures SET count = count + 1; END;
CREATE TRIGGER erasure_of_title AFTER DELETE ON conversation WHEN old.title <> '' BEGIN
    UPDATE erasures SET count = count + 1;
END;
"""

VALIDITY = """
-- said: the owner's own words. inferred: what the agent made of them, to be asked about.
ALTER TABLE memory ADD COLUMN origin TEXT NOT NULL DEFAULT 'said' CHECK (origin IN ('said', 'inferred'));
-- What relations.py reads in the text; NULL until it was read. A slot holds one claim at a time.
ALTER TABLE memory ADD COLUMN claim TEXT;
ALTER TABLE memory ADD COLUMN slot TEXT;
-- valid_to is when it stopped being true, ended_at when that became known, and ended is why.
ALTER TABLE memory ADD COLUMN ended_at REAL;
ALTER TABLE memory ADD COLUMN ended TEXT CHECK (ended IN ('edited', 'superseded', 'retracted'));
ALTER TABLE memory ADD COLUMN asked_at REAL;
UPDATE memory SET ended_at = valid_to, ended = 'edited' WHERE valid_to IS NOT NULL;
CREATE INDEX memory_claim ON memory(claim) WHERE claim IS NOT NULL;
CREATE INDEX memory_slot ON memory(slot) WHERE slot <> '' AND valid_to IS NULL;
CREATE INDEX memory_unread ON memory(id) WHERE claim IS NULL AND kind = 'fact';
CREATE INDEX memory_inferred ON memory(id) WHERE origin = 'inferred' AND valid_to IS NULL;
"""

UNLEARNED = """
-- Messages of which something was forgotten: nothing is learned from them a second time. Ids, no words.
CREATE TABLE unlearned (
    message_id TEXT PRIMARY KEY REFERENCES message(id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
"""

PAST = """
-- What was corrected is looked up before anything is learned, so that it does not come back.
CREATE INDEX memory_past ON memory(folded) WHERE valid_to IS NOT NULL;
"""

NEWEST = """
-- What was rated on another machine and imported here comes later by seq, though it may have been said first.
DROP VIEW signal;
CREATE VIEW signal AS
    SELECT * FROM feedback AS f WHERE kind <> 'thumb' OR (value <> 0 AND NOT EXISTS (
        SELECT 1 FROM feedback AS later
        WHERE later.reply_id = f.reply_id AND later.kind = 'thumb'
            AND (later.created_at, later.seq) > (f.created_at, f.seq)));
"""

STRICT_JSON = """
-- A tool call with an infinite number was stored as Python spells it, which no query here reads. The function
-- comes from database.py.
UPDATE message SET tool_calls = strict_json(tool_calls) WHERE NOT json_valid(tool_calls);
UPDATE generation SET body = strict_json(body) WHERE NOT json_valid(body);
"""

MIGRATIONS = (
    Migration("memory-0001-journal", JOURNAL),
    Migration("memory-0002-facts", FACTS),
    Migration("memory-0003-card", CARD),
    Migration("memory-0004-forget", FORGETTING),
    Migration("memory-0005-surroundings", SURROUNDINGS),
    Migration("memory-0006-version", VERSION),
    Migration("memory-0007-documents", DOCUMENTS),
    Migration("memory-0008-validity", VALIDITY),
    Migration("memory-0009-unlearned", UNLEARNED),
    Migration("memory-0010-erasures", ERASURES),
    Migration("memory-0011-past", PAST),
    Migration("memory-0012-newest", NEWEST),
    Migration("memory-0013-strict-json", STRICT_JSON),
)
