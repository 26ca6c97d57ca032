"""Public data sets become data folders."""
