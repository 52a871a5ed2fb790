#!/bin/sh
# First program of a User Mode Linux guest, whose root is the host's own, read-only. The kernel hands its unknown
# arguments to us as environment: the guest's name, its two addresses, and where things are.
set -u
PATH=/usr/sbin:/usr/bin:/sbin:/bin
TMPDIR=/run
HOME=/run
PYTHONDONTWRITEBYTECODE=1
export PATH TMPDIR HOME PYTHONDONTWRITEBYTECODE
: "${node:?}" "${fe:?}" "${be:?}" "${mods:?}" "${lab:?}" "${python:?}" "${agent:?}"
mount -t proc proc /proc
mount -t sysfs sys /sys
for place in /run /mnt; do
  mount -t tmpfs -o mode=755 tmpfs "$place"
done
mkdir -p /mnt/lab /run/state
mount -t hostfs none /mnt/lab -o "$lab"
for module in fs/netfs/netfs fs/fscache/fscache net/sunrpc/sunrpc fs/nfs_common/grace fs/lockd/lockd fs/nfs/nfs \
  fs/nfs_common/nfs_acl fs/nfs/nfsv3 net/dns_resolver/dns_resolver fs/nfs/nfsv4; do
  /bin/busybox insmod "$mods/$module.ko" || echo "insmod $module failed"
done
hostname "$node"
ip link set lo up
ip addr add "$fe" dev vec0
ip addr add "$be" dev vec1
ip link set vec0 up
ip link set vec1 up
cd /run || exit 1
"$python" -S "$agent"
exec /bin/busybox poweroff -f
