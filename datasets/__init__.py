"""CT slices from disk, their transforms and edges, and a generator of synthetic CT."""
