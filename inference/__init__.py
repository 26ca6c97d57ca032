"""Prediction: images, NIfTI and DICOM in; masks, probabilities, overlays and reports out."""
