"""Self-contained HTML pages and rendered videos of what jobs produce. Imports neither Ray nor MLflow."""
