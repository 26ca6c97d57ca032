"""Pictures: cases, the paper's figures 6 to 8, curves and distributions of scores.

`python -m utils.figures` draws the paper's figures of any checkpoint.
"""
