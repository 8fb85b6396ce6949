"""Import of labeled poses: motion capture and datasets become labeled tracks."""
