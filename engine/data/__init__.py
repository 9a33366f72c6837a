"""Labelled examples of every kind: generated, drawn, read from files; how they are augmented and pooled."""
