"""The registry's tables: adapters, and the log of what was let speak, which only grows."""

from __future__ import annotations

from memory.schema import Migration

MIGRATIONS = (
    Migration(
        "adapters-0001",
        """
        CREATE TABLE adapters (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            base TEXT NOT NULL,
            base_sha256 TEXT NOT NULL,
            algorithm TEXT NOT NULL,
            status TEXT NOT NULL,
            sha256 TEXT NOT NULL,
            created_at REAL NOT NULL,
            signals INTEGER NOT NULL,
            report TEXT NOT NULL
        ) STRICT;
        CREATE TABLE activations (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            kind TEXT NOT NULL CHECK (kind IN ('activate', 'rollback')),
            number INTEGER REFERENCES adapters (number),
            base_sha256 TEXT,
            reason TEXT NOT NULL,
            created_at REAL NOT NULL
        ) STRICT;
        """,
    ),
    # The log outlives the adapters that it names, since one can be deleted for good: it is made anew without
    # its foreign key. Of adapters from before there was a lineage nobody knows what they were trained on:
    # they count as trained on everything older, and on what their report names.
    Migration(
        "adapters-0002-forget",
        """
        CREATE TABLE activations_kept (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            kind TEXT NOT NULL CHECK (kind IN ('activate', 'rollback')),
            number INTEGER,
            base_sha256 TEXT,
            reason TEXT NOT NULL,
            created_at REAL NOT NULL
        ) STRICT;
        INSERT INTO activations_kept SELECT * FROM activations;
        DROP TABLE activations;
        ALTER TABLE activations_kept RENAME TO activations;
        INSERT OR IGNORE INTO lineage
            SELECT 'v' || a.number, 'feedback', f.id FROM adapters AS a
            JOIN feedback AS f ON f.created_at <= a.created_at;
        INSERT OR IGNORE INTO lineage
            SELECT 'v' || a.number, 'memory', m.id FROM adapters AS a
            JOIN memory AS m ON m.created_at <= a.created_at;
        INSERT OR IGNORE INTO lineage
            SELECT 'v' || a.number, 'feedback', e.value
            FROM adapters AS a, json_each(a.report, '$.trained_on.feedback') AS e;
        INSERT OR IGNORE INTO lineage
            SELECT l.adapter, 'reply', f.reply_id FROM lineage AS l JOIN feedback AS f ON f.id = l.of_id
            WHERE l.kind = 'feedback';
        """,
    ),
)
