"""File systems as values: entries, trees, and the sources that trees are read from."""
