#!/usr/bin/env bash
# A machine to submit from and three nodes, all on this one: each has namespaces of its own for network, processes, mounts
# and host name, and so an IP, an sshd, a home, a /tmp and a /dev/shm of its own. What they share is /mnt/raycal, and the
# places KEEP, the Python environment and the repository. Prints `up`; all of it ends with this process.
#
#   unshare --net --pid --mount --uts --ipc --fork --kill-child bash machines.sh FOLDER KEEP...
#
# Needs root. FOLDER holds ssh/ (host_key, id_rsa, id_rsa.pub), bashrc, shared/, and etc/ (passwd, group, shadow, hosts).
set -euo pipefail
mount -t proc proc /proc
nodes=(node1 node2 node3)
declare -A ip=([client]=10.77.0.1 [node1]=10.77.0.11 [node2]=10.77.0.12 [node3]=10.77.0.13)

hide() { # NAME FOLDER KEEP...: put own places in front of this machine's
  local own=$2/$1 folder=$2 path
  hostname "$1"
  shift 2
  mkdir -p "$own"/{tmp,root,home/ray/.ssh}
  cp "$folder"/ssh/id_rsa "$own/home/ray/.ssh/"
  cp "$folder"/ssh/id_rsa.pub "$own/home/ray/.ssh/authorized_keys"
  cp "$folder"/bashrc "$own/home/ray/.bashrc"
  chown -R 1000:1000 "$own/home/ray"
  chmod 1777 "$own/tmp"
  for path in "$@"; do
    case $path in /tmp/* | /root/* | /home/*)
      mkdir -p "$own$path"
      mount --bind "$path" "$own$path"
      ;;
    esac
  done
  mount -t tmpfs -o mode=1777 shm /dev/shm
  mount -t tmpfs mnt /mnt
  mkdir /mnt/raycal
  mount --bind "$folder/shared" /mnt/raycal
  mount -t tmpfs run /run
  mkdir /run/sshd
  cp "$folder/ssh/host_key" /run/host_key
  for path in passwd group shadow hosts; do mount --bind "$folder/etc/$path" "/etc/$path"; done
  for path in home root tmp; do mount --rbind "$own/$path" "/$path"; done
  ip link set lo up
}

node() { # NAME FOLDER KEEP...
  local name=$1
  hide "$@"
  until ip link show eth0 >/dev/null 2>&1; do sleep 0.1; done
  ip addr add "${ip[$name]}/24" dev eth0
  ip link set eth0 up
  ip route add default via "${ip[client]}" # Ray takes the IP of the way out for the node's own
  ulimit -n "$(ulimit -Hn)"
  exec /usr/sbin/sshd -D -e -f /dev/null -h /run/host_key -o UsePAM=no -o PasswordAuthentication=no -o PidFile=none
}

client() { # FOLDER KEEP...
  local name
  ip link add bridge type bridge
  ip addr add "${ip[client]}/24" dev bridge
  ip link set bridge up
  for name in "${nodes[@]}"; do
    unshare --net --pid --mount --uts --ipc --fork --kill-child bash "$0" "$name" "$@" &
    until [ "$(readlink /proc/$!/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.1; done
    ip link add "$name" type veth peer name eth0 netns $!
    ip link set "$name" master bridge up
  done
  hide client "$@"
  for name in "${nodes[@]}"; do
    timeout 30 bash -c "until (: </dev/tcp/${ip[$name]}/22) 2>/dev/null; do sleep 0.1; done"
  done
  echo up
  wait
}

case $1 in
  node*) node "$@" ;;
  *) client "$@" ;;
esac
