"""What models, tracks and poses were made from, and what was made from them, by the runs that MLflow holds."""
