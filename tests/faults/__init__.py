"""What goes wrong by itself, made for real: `make faults` (F1 to F31, R1 to R10)."""
