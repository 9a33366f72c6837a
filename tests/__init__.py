"""Tests of the engine and of the window. They mirror the folders that they test."""
