"""Scoring cases and what comes of it: where cases come from, tables, files, comparisons."""
