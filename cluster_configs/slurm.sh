#!/usr/bin/env bash
# Runs a sweep as one Slurm job, with a Ray cluster on its nodes that ends with the job. `README.md` says what each step
# prints.
#
# Cost: what your center charges: nodes x hours, whether their GPUs are busy or not.
# Quotas: 4 nodes with 4 GPUs each for a day; change the #SBATCH lines below. It needs a home and a $STORAGE that all
#   nodes see, compute nodes that reach each other on all ports, and the internet or a filled $RAYCAL_CACHE for the
#   datasets.
# Before, on the login node: `make install` in the repository.
#
#   up      sbatch --parsable cluster_configs/slurm.sh sweeps/paper_cifar10.yaml    (this also submits the sweep)
#   submit  squeue --me
#   watch   tail --follow raycal-*.log
#   down    scancel --name raycal    (the same `sbatch` continues the sweep)
#
# Last run: never run by us.
#SBATCH --job-name=raycal
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --gpus-per-node=4
#SBATCH --time=24:00:00
#SBATCH --output=raycal-%j.log
#SBATCH --signal=B:TERM@120
set -euo pipefail
sweep=${1:?usage: sbatch cluster_configs/slurm.sh SWEEP.yaml [options of raycal.sweep]}
shift
cd "${SLURM_SUBMIT_DIR:?start me with sbatch}"
storage=${STORAGE:-$PWD/runs}

# shellcheck disable=SC1091
source .venv/bin/activate
export RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
[ -s ~/.ray/auth_token ] || ray get-auth-token --generate >/dev/null
ulimit -n "$(ulimit -Hn)"

# Each job has its own port, as the head of another job may run on the node. Sockets need a short path.
port=$((20000 + SLURM_JOB_ID % 20000))
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address=$head:$port

# The other nodes keep running when one of them fails, unless it is the head.
srun --overlap --nodes=1 --ntasks=1 --nodelist="$head" \
  ray start --head --block --node-ip-address="$head" --port="$port" --dashboard-host=127.0.0.1 \
  --temp-dir="/tmp/ray-$SLURM_JOB_ID" &
for attempt in $(seq 60); do
  ray status --address="$address" >/dev/null 2>&1 && break
  [ "$attempt" = 60 ] && { echo "no Ray head at $address after 5 minutes" >&2; exit 1; }
  sleep 5
done
if [ "$SLURM_JOB_NUM_NODES" -gt 1 ]; then
  srun --overlap --kill-on-bad-exit=0 --nodes=$((SLURM_JOB_NUM_NODES - 1)) --ntasks=$((SLURM_JOB_NUM_NODES - 1)) \
    --exclude="$head" ray start --block --address="$address" &
fi
# Waits for all nodes, because raycal sizes its trials by the nodes that are there.
for _ in $(seq 60); do
  [ "$(ray status --address="$address" 2>/dev/null | grep -c '^ 1 node_')" -ge "$SLURM_JOB_NUM_NODES" ] && break
  sleep 5
done

# Slurm sends SIGTERM two minutes before the end. It is passed on to the sweep, which saves nothing more and leaves a
# complete state.
python -m raycal.sweep "$sweep" --address "$address" --storage "$storage" --resume "$@" &
driver=$!
trap 'kill -TERM "$driver" 2>/dev/null' TERM INT
code=0
wait "$driver" || code=$?
while kill -0 "$driver" 2>/dev/null; do wait "$driver" || code=$?; done
exit "$code"  # Slurm ends the other steps together with the job
