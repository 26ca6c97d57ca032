"""Every table of the papers by one command: runs planned, launched, and made into tables."""
