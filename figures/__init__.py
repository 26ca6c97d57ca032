"""Arrays to pictures: cases, the paper's figures 6 to 8, curves and distributions of scores."""
