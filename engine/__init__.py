"""The convolutional engine: networks, their plans, training and data. No Qt, no globals, no printing."""
