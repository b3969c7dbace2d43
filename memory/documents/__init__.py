"""Documents: what the owner gave to read, cut into passages that can be found and cited."""
