"""One update: from the ledger to an adapter that may speak (`run`), in a process of its own (`job`)."""
