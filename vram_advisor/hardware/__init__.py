"""This machine: its GPUs, memory and operating system, as values."""
