"""The table of all networks: size, arithmetic, speed, memory and source; see python -m models."""
