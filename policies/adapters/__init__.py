"""Adapters: which there are and which one speaks (`registry`), their files, and the swap in the model."""
