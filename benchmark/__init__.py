"""Speed and memory of training, loading and evaluation on this machine."""
