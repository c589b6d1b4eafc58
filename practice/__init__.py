"""The domain: what the practice knows and does. No request, no cookie, no HTML."""
