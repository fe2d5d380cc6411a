"""What things are: models, GPUs, methods, plans. Pure values, no input or output."""
