"""The index in Chroma: ids and vectors, made anew from the database at any time; text to vectors."""
