"""Short real runs and traces, and what is learnt from them."""
