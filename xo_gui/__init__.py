"""The window. Importing this package loads no Qt, so that the bootstrap can run on a bare Python."""
