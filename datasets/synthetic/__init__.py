"""A generator of synthetic chest CT: bodies, vessels, lesions, and the scanner that sees them."""
