"""Lungs of a scan by threshold and morphology, told apart into sides, without airways and gut."""
