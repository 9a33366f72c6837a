"""The window. This package's `__init__` imports no Qt, so that the bootstrap runs on a bare Python."""
