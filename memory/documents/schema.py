"""The tables of learned documents: a migration in `memory/schema.py`."""

DOCUMENTS = """
-- A file that was learned. `root` is what was named then: the file itself, or a folder above it.
CREATE TABLE document (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL DEFAULT 'owner', path TEXT NOT NULL, root TEXT NOT NULL,
    format TEXT NOT NULL, sha256 TEXT NOT NULL, unit TEXT NOT NULL, learned_at REAL NOT NULL,
    UNIQUE (owner, path)
) STRICT;

-- AUTOINCREMENT: an id that was forgotten never comes back, so no stale entry of an index can mean another
-- passage. The passages of a document have consecutive ids, in the order of its text.
-- begin_at and end_at are characters of what the reader made of the file; from_unit and to_unit its lines,
-- pages, paragraphs, messages or cells.
CREATE TABLE passage (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    document_id TEXT NOT NULL REFERENCES document(id) ON DELETE CASCADE,
    begin_at INTEGER NOT NULL, end_at INTEGER NOT NULL,
    from_unit INTEGER NOT NULL, to_unit INTEGER NOT NULL,
    heading TEXT NOT NULL, text TEXT NOT NULL
) STRICT;
CREATE INDEX passage_document ON passage(document_id);

CREATE VIRTUAL TABLE passage_text USING fts5(
    text, heading, content = 'passage', content_rowid = 'id',
    tokenize = 'porter unicode61 remove_diacritics 2');
CREATE TRIGGER passage_added AFTER INSERT ON passage BEGIN
    INSERT INTO passage_text (rowid, text, heading) VALUES (new.id, new.text, new.heading);
END;
CREATE TRIGGER passage_erased AFTER DELETE ON passage BEGIN
    INSERT INTO passage_text (passage_text, rowid, text, heading)
    VALUES ('delete', old.id, old.text, old.heading);
END;
"""
