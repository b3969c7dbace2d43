"""Recall: which memories matter for what was just said, ranked and explained."""
