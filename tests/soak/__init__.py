"""A long day of the whole practice, held against its ledger: `python -m tests.soak`."""
