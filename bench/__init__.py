"""The benchmark: the product beside the least that could answer the same."""
