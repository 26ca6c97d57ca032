"""A training run: what the configuration builds, the loop, the step, and what is kept of it."""
