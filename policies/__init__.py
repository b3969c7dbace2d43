"""Who speaks, and how it learns: base models, adapters, learners, the gate and the update job."""
