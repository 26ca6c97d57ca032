"""The table of all networks: size, arithmetic, speed, memory, source (python -m benchmark zoo)."""
