"""Forgetting: everywhere (`erase`), word by word (`oblivion`), and who still knows it (`lineage`)."""
