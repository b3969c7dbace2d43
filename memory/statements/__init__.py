"""Statements: what of a message is worth keeping, and which memory it takes the place of."""
