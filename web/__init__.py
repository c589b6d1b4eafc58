"""What the three sides share over HTTP."""
