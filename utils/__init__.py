"""Everything around the networks: configuration, the loop, checkpoints, figures, tables."""
