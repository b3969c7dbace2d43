"""Copies of the database, and a damaged one put together anew."""
