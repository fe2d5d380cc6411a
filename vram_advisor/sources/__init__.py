"""Files and services: the catalogues, model files and stores of other programs."""
