"""Data folders made from public data sets, checked and described."""
