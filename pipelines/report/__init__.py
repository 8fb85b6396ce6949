"""Something to look at: self-contained pages and rendered videos. No Ray, no MLflow."""
