"""The commands of prepare.py, a file each."""
