"""Learners: one TRL run each. `choose` says which one suits a ledger."""
