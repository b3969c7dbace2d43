"""Taste: the card, its evidence, and what the thumbs say of every style. `features` is what it is made of."""
