#!/usr/bin/env bash
# Everything worth knowing of a new GPU machine, within 10 minutes: benchmarks/gpu.sh [FOLDER] [--toy]
set -euo pipefail
cd "$(dirname "$0")/.."
exec "${PYTHON:-.venv/bin/python}" benchmarks/gpu.py "$@"
