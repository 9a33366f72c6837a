"""Explanations of what a network computed: where a value comes from and what it is worth. They train nothing."""
