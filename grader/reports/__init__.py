"""Turn `Report`s into files, deterministically; nothing here grades."""
