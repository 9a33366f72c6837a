"""File formats: models, pictures and arrays, validated when read and written atomically."""
