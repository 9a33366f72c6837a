"""The engine: networks, plans, training, data and explanations, without Qt."""
