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
)
