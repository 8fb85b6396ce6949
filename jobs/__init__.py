"""Floor 3: entry points, one short file a job. Nothing imports jobs but jobs.

Each file calls `run_job` above its imports, because torch, Ray and MLflow take seconds to load: the command line is
read and checked first, and only then is the job imported.
"""
