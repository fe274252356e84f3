#!/bin/bash
# Train on several nodes without a scheduler: run this on each of them, from the repository's folder.
#
#   HEAD=node1 NODES=4 DEVICES=8 recipes/cluster/torchrun.sh CONFIG [OPTION ...]
#
# HEAD     name of one of the nodes, the same everywhere
# NODES    how many there are; default: 1
# DEVICES  processes on each: its GPUs; default: 1
# RUN=DIR  folder of the run; default: exp/run
set -euo pipefail

config=${1:?usage: HEAD=node1 NODES=4 DEVICES=8 recipes/cluster/torchrun.sh CONFIG [OPTION ...]}
shift
run=${RUN:-exp/run}
nodes=${NODES:-1} devices=${DEVICES:-1}
options=(--trainer.num_nodes "$nodes" --trainer.devices "$devices" --trainer.default_root_dir "$run")

if compgen -G "$run/checkpoints/*.ckpt" > /dev/null; then
  options+=(--ckpt_path last)
fi

exec .venv/bin/torchrun --nnodes "$nodes" --nproc-per-node "$devices" --rdzv-backend c10d \
  --rdzv-id "${RDZV_ID:-speechrnn}" --rdzv-endpoint "${HEAD:-localhost}:${PORT:-29500}" \
  -m speechrnn fit --config "$config" "${options[@]}" "$@"
