"""Runs with few labels side by side: a curve over the number of labels, and one HTML page."""
