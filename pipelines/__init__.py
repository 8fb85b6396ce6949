"""Everything that jobs do: floors 1 and 2 of docs/architecture.md. Importing it imports neither Ray nor MLflow."""
