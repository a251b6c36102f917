#!/usr/bin/env bash
# Two hosts on one machine: two network namespaces, each with an address of its own, and a cable between them.
#
#     ./two_hosts.sh 'command on host 0' 'command on host 1'
#
# runs a command on each and ends when both have ended, with the larger of their exit statuses. Inside, the hosts are
# 192.0.2.1 and 192.0.2.2 (host0 and host1), and reach nothing else; the file system is common to both. Linux only. It asks for no root:
# where it is not root already, it becomes root of a user namespace, if the system allows that. It leaves nothing behind.
set -euo pipefail
[ $# = 2 ] || { sed -n '2,9p' "$0" | cut -c3-; exit 2; }
if [ -z "${TWO_HOSTS:-}" ]; then
    options=(--net --mount --uts)
    [ "$(id -u)" = 0 ] || options+=(--map-root-user)
    TWO_HOSTS=1 exec unshare "${options[@]}" "$BASH" "$0" "$@"
fi
mount -t tmpfs tmpfs /run                       # names of namespaces are kept here; these are ours alone
printf '127.0.0.1 localhost\n192.0.2.1 host0\n192.0.2.2 host1\n' > /run/hosts
mount --bind /run/hosts /etc/hosts              # no name is looked up elsewhere: there is no elsewhere
[ ! -e /etc/resolv.conf ] || mount --bind /dev/null /etc/resolv.conf
for i in 0 1; do ip netns add "host$i"; done
ip link add wire netns host0 type veth peer name wire netns host1
for i in 0 1; do
    ip -n "host$i" address add "192.0.2.$((i + 1))/24" dev wire
    for name in lo wire; do ip -n "host$i" link set "$name" up; done
done
ip netns exec host0 "$BASH" -c "$1" & first=$!
ip netns exec host1 "$BASH" -c "$2" & second=$!
status=0
wait $first || status=$?
wait $second || { other=$?; [ $other -le $status ] || status=$other; }
exit $status
