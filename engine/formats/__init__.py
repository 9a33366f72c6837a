"""Files: models, pictures and arrays, read with distrust and written whole. Not what they mean."""
