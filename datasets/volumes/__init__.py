"""CT scans and label volumes of NIfTI and DICOM, seen slice by slice as a radiologist sees them."""
