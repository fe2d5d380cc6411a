"""What lies on top of the main screen, one file each with its style beside it."""
