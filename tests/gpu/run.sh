#!/usr/bin/env bash
# Runs the engine's graph tests on a machine with a CUDA GPU, with real CUDA graphs. From anywhere: bash tests/gpu/run.sh [pytest options]
# It needs torch with CUDA, pytest, msgspec and the package's sources; the options of pyproject.toml that need nbval and pytest-benchmark are left out.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
PYTHONPATH="inspector:tests${PYTHONPATH:+:$PYTHONPATH}" exec python3 -m pytest -q -rs -p no:cacheprovider -o addopts="--import-mode=importlib" tests/gpu "$@"
