"""What happened, and what is recalled of it: the journal, the facts, the vector index, the card.

The truth is one SQLite file; the Chroma folder is an index of it that can be rebuilt at any time.
Importing anything here is cheap: chromadb, torch and sentence-transformers load on first use.
"""
