#!/usr/bin/env bash
# Makes one machine, with GPUs or without, a Ray cluster that takes sweep after sweep. A single sweep does not need it:
# `python -m raycal.sweep` starts a Ray of its own. `README.md` says what each step prints.
#
# Cost: the machine.
# Quotas: none. With GPUs, NVIDIA driver 580 or newer.
# Before, in the repository: `make install; source .venv/bin/activate`.
#
#   up      bash cluster_configs/one_machine.sh up
#   submit  bash cluster_configs/one_machine.sh submit sweeps/quickstart.yaml
#   watch   bash cluster_configs/one_machine.sh watch
#   down    bash cluster_configs/one_machine.sh down
#
# Last run: 2026-11-23 on one machine with 2 CPUs and no GPU, Ray 2.60.0: all four, with one trial of the quickstart;
#   the job took 50 s, and nothing was left running.
set -euo pipefail
usage='usage: one_machine.sh up | submit SWEEP.yaml [options of raycal.sweep] | watch | down'
# The folder for everything but the results. Its path is short because it holds sockets.
home=${RAYCAL_RAY:-/tmp/raycal-$(id -u)}
port=${RAYCAL_PORT:-6379} dashboard=${RAYCAL_DASHBOARD:-8265} agent=${RAYCAL_AGENT:-52365}
storage=${STORAGE:-$HOME/raycal-runs}
export RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0 RAY_ADDRESS=http://127.0.0.1:$dashboard

is_up() { [ -s "$home/pid" ] && kill -0 "$(cat "$home/pid")" 2>/dev/null; }

# Checks the agent that starts jobs as well, because the dashboard answers before it does.
takes_jobs() { (: <"/dev/tcp/127.0.0.1/$agent") 2>/dev/null && ray job list >/dev/null 2>&1; }

up() {
  is_up && { echo "is up: process $(cat "$home/pid")"; return; }
  [ -s ~/.ray/auth_token ] || ray get-auth-token --generate >/dev/null
  mkdir -p -m 700 "$home"
  ulimit -n "$(ulimit -Hn)"
  # Ray gets a session of its own, so that `down` can end it and nothing else; `ray stop` would end every Ray of the
  # user.
  env -u RAY_ADDRESS setsid ray start --head --block --port="$port" --dashboard-host=127.0.0.1 \
    --dashboard-port="$dashboard" --dashboard-agent-listen-port="$agent" --temp-dir="$home/ray" >"$home/log" 2>&1 </dev/null &
  echo $! >"$home/pid"
  for _ in $(seq 60); do
    takes_jobs && { echo "up: $RAY_ADDRESS, log $home/log"; return; }
    is_up || break
    sleep 2
  done
  echo "not up; the end of $home/log:" >&2
  tail -n 20 "$home/log" >&2
  down
  return 1
}

submit() {
  local sweep=${1:?$usage}
  shift
  ray job submit --working-dir . -- python -m raycal.sweep "$sweep" --storage "$storage" "$@"
}

watch() {
  ray job list
  python -m raycal.pool --address "127.0.0.1:$port"
}

down() {
  [ -s "$home/pid" ] || { echo "is down"; return; }
  local session
  session=$(cat "$home/pid")
  for signal in TERM KILL; do
    pkill -$signal -s "$session" || break
    for _ in $(seq 10); do
      pgrep -s "$session" >/dev/null || break
      sleep 1
    done
  done
  rm -rf "$home"
  echo "down; results are in $storage"
}

case ${1:-} in
  up | submit | watch | down) "$@" ;;
  *) echo "$usage" >&2; exit 2 ;;
esac
