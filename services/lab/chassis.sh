#!/bin/sh
# ipmi_sim's chassis_control hook: NODE get power|boot... | NODE set NAME VALUE...
# ipmi_sim serves nobody while this runs, and runs it for each power poll: `get` is answered from a file by the shell alone, without a fork.
# It also leaks its sockets to us: closed here, so that nothing started below can keep its UDP ports (descriptors above 9 a shell cannot name,
# but nothing below outlives this script).
exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
run=${0%/*} node=$1 verb=$2
shift 2
if [ "$verb" = get ]; then
  read -r pid boot <"$run/$node.chassis" || exit 1
  for name; do
    case $name in
    power) if [ "$pid" -gt 0 ] && [ -d "/proc/$pid" ]; then echo power:1; else echo power:0; fi ;;
    boot) echo "boot:$boot" ;;
    *) echo "unknown parameter $name" && exit 1 ;;
    esac
  done
  exit 0
fi
answer=$(echo "$node set $*" | socat -t 60 -T 60 - "UNIX-CONNECT:$run/control.sock") || exit 1
[ "$answer" = ok ] && exit 0
echo "$answer"
exit 1
