"""Files to arrays: pictures and array files."""
