"""How text comes out of a model: the prompt, the cache, the draw, and the decode loops."""
