"""What is wrong with a data folder: files, records, patients and slices in two splits."""
