"""The gate: what base and candidate are asked, and the verdict with its reasons (`verdict`)."""
