# What cloud-init would do at first boot, as far as a node of ours needs it.

set_hostname() {
  name=$(meta '.hostname // .name // empty')
  case $name in '' | *[!A-Za-z0-9.-]*) return ;; esac
  short=${name%%.*}
  [ "$(cat "$root/etc/hostname" 2>/dev/null)" = "$short" ] || echo "$short" >"$root/etc/hostname"
  [ -n "$root" ] || hostname "$short" 2>/dev/null || echo "$short" >/proc/sys/kernel/hostname
  grep -q "^127.0.1.1 $name" "$root/etc/hosts" 2>/dev/null && return
  { grep -v '^127\.0\.1\.1 ' "$root/etc/hosts" 2>/dev/null; echo "127.0.1.1 $name $short"; } >"$run/hosts"
  cat "$run/hosts" >"$root/etc/hosts"
}

install_keys() {
  meta '[(.public_keys // {} | .[]?), (.keys // [] | .[]? | select(.type == "ssh") | .data)] | map(strings) | unique | .[]' >"$run/keys"
  [ -s "$run/keys" ] || return
  mkdir -p "$root/root/.ssh"
  chmod 700 "$root/root/.ssh"
  touch "$root/root/.ssh/authorized_keys"
  chmod 600 "$root/root/.ssh/authorized_keys"
  while IFS= read -r key; do
    grep -qxF "$key" "$root/root/.ssh/authorized_keys" || printf '%s\n' "$key" >>"$root/root/.ssh/authorized_keys"
  done <"$run/keys"
}

# networkd writes resolv.conf only through resolved, which is not in the image.
write_resolver() {
  [ -L "$root/etc/resolv.conf" ] && return
  cat "$root"/run/systemd/netif/leases/* 2>/dev/null | awk -F= '
    $1 == "DNS" {n = split($2, server, " "); for (i = 1; i <= n; i++) if (!seen[server[i]]++) print "nameserver " server[i]}
    $1 == "DOMAINNAME" && $2 != "" {print "search " $2}' >"$run/resolv.conf"
  [ ! -s "$run/resolv.conf" ] || cat "$run/resolv.conf" >"$root/etc/resolv.conf"
}

# Every certificate anywhere in vendor-data is the undercloud's word about whom to trust. update-ca-certificates would take seconds to hash 140 certificates: the bundle gets them
# appended, and /usr/local/share keeps them for the day when that program runs.
install_certificates() {
  bundle=$root/etc/ssl/certs/ca-certificates.crt
  for file in vendor_data.json vendor_data2.json; do
    [ -s "$run/instance/$file" ] && jq -r '.. | strings' "$run/instance/$file" 2>/dev/null
  done | sed 's/\\n/\n/g' | awk '
    {sub(/^[ \t|>"-]*-----BEGIN/, "-----BEGIN"); gsub(/^[ \t]+|[ \t\r",]+$/, "")}
    /^-----BEGIN CERTIFICATE-----$/ {inside = 1; text = ""}
    inside {text = text $0 "\n"}
    /^-----END CERTIFICATE-----$/ {inside = 0; if (!seen[text]++) printf "%s", text}' >"$run/certificates.pem"
  [ -s "$run/certificates.pem" ] || return
  cmp -s "$run/certificates.pem" "$root/usr/local/share/ca-certificates/undercloud.crt" && return
  mkdir -p "$root/usr/local/share/ca-certificates" "$root/etc/ssl/certs"
  cp "$run/certificates.pem" "$root/usr/local/share/ca-certificates/undercloud.crt"
  cat "$run/certificates.pem" >>"$bundle"
  say "$(grep -c BEGIN "$run/certificates.pem") certificate(s) of the undercloud installed"
}

# The root is the last partition of its image; the config drive, if there is one on this disk, lies at the disk's end.
grow_root() {
  [ -z "$root" ] && [ ! -e "$state/grown" ] || return
  partition=$(basename "$(readlink -f "$(findmnt -no SOURCE /)")")
  [ -e "/sys/class/block/$partition/partition" ] || return
  number=$(cat "/sys/class/block/$partition/partition")
  disk=$(basename "$(readlink -f "/sys/class/block/$partition/..")")
  end=$(($(cat "/sys/class/block/$partition/start") + $(cat "/sys/class/block/$partition/size")))
  limit=$(cat "/sys/class/block/$disk/size")
  for other in /sys/class/block/"$disk"/*/start; do
    start=$(cat "$other")
    [ "$start" -ge "$end" ] && [ "$start" -lt "$limit" ] && limit=$start
  done
  if [ $((limit - end)) -gt 20480 ]; then
    if echo ', +' | sfdisk --quiet --no-reread --force -N "$number" "/dev/$disk" >"$run/grow.log" 2>&1 &&
      partx --update --nr "$number" "/dev/$disk" >>"$run/grow.log" 2>&1 && resize2fs "/dev/$partition" >>"$run/grow.log" 2>&1; then
      say "root grown to $(($(cat "/sys/class/block/$partition/size") / 2048)) MiB"
    else
      say "root could not be grown: $(tail -n 1 "$run/grow.log")"
      return
    fi
  fi
  touch "$state/grown"
}

# Takes MIME apart: each part's body to $run/parts/NNN, its type, file name and encoding, a line each, to NNN.head.
split_mime() {
  awk -v directory="$run/parts" '
    function value(name,    found) {
      if (!match(tolower(head), name "=\"[^\"]*\"|" name "=[^\"; \t\n]+")) return ""
      found = substr(head, RSTART + length(name) + 1, RLENGTH - length(name) - 1)
      gsub(/"/, "", found)
      return found
    }
    function field(name,    lines, count, i) {
      count = split(head, lines, "\n")
      for (i = 1; i <= count; i++) if (index(tolower(lines[i]), name ":") == 1) { sub(/^[^:]*:[ \t]*/, "", lines[i]); return lines[i] }
      return ""
    }
    BEGIN {inHead = 1}
    {sub(/\r$/, "")}
    !inHead && substr($0, 1, 2) == "--" {
      for (each in boundaries) if ($0 == "--" each || $0 == "--" each "--") {
        if (out != "") close(out)
        out = ""; head = ""; inHead = ($0 == "--" each)
        next
      }
    }
    inHead && $0 == "" {
      inHead = 0
      type = tolower(field("content-type")); sub(/;.*/, "", type)
      if (value("boundary") != "") boundaries[value("boundary")] = 1
      if (type !~ /^multipart\//) {
        out = sprintf("%s/%03d", directory, ++count)
        printf "%s\n%s\n%s\n", type, value("filename"), tolower(field("content-transfer-encoding")) > (out ".head")
        close(out ".head"); printf "" > out
      }
      next
    }
    inHead && /^[ \t]/ {head = head $0; next}
    inHead {head = head "\n" $0; next}
    out != "" {print > out}' "$1"
}

# Sorts user-data into $state/scripts (to be run once; not below /run, which is mounted noexec) and /var/lib/heat-cfntools.
take_user_data() {
  data=$run/instance/user_data
  rm -rf "$run/parts" "$state/scripts"
  mkdir -p "$run/parts" "$state/scripts"
  [ -s "$data" ] || return
  case $(od -An -tx1 -N2 "$data") in *'1f 8b'*) gunzip -c <"$data" >"$data.raw" && mv "$data.raw" "$data" ;; esac
  if head -n 20 "$data" | grep -qi '^Content-Type: *multipart/\|^MIME-Version:'; then split_mime "$data"; else cp "$data" "$run/parts/001"; fi
  for part in "$run"/parts/[0-9][0-9][0-9]; do
    [ -e "$part" ] || continue
    type= filename= encoding=
    [ -e "$part.head" ] && { read -r type; read -r filename; read -r encoding; } <"$part.head"
    [ "$encoding" != base64 ] || { base64 -d <"$part" >"$part.raw" 2>/dev/null && mv "$part.raw" "$part"; }
    first=$(head -c 2 "$part" | tr -d '\0')
    name=$(basename "$part")
    case $type in
      text/x-cfninitdata)
        case $filename in '' | */* | .*) filename=cfn-init-data ;; esac
        mkdir -p "$root/var/lib/heat-cfntools"
        (umask 077; cp "$part" "$root/var/lib/heat-cfntools/$filename")
        [ "$filename" = cfn-userdata ] && [ "$first" = '#!' ] && cp "$part" "$state/scripts/$name"
        ;;
      text/cloud-boothook | text/part-handler | text/upstart-job) ;;
      *)
        # Heat's wrapper that runs cfn-userdata, which has been taken above.
        case $filename in loguserdata*) continue ;; esac
        case $first in
          '#!') cp "$part" "$state/scripts/$name" ;;
          '{'*) jq -e '.["os-collect-config"]' "$part" >/dev/null 2>&1 && { mkdir -p "$root/var/lib/heat-cfntools"; cp "$part" "$root/var/lib/heat-cfntools/cfn-init-data"; } ;;
          *) head -n 1 "$part" | grep -q '^#cloud-config' && say "user-data holds #cloud-config, which this image does not understand (it has no cloud-init); it is left out" ;;
        esac
        ;;
    esac
  done
}

wait_for_network() {
  [ -z "$root" ] || return
  tries=0
  until ip -4 -o addr show scope global | grep -q inet; do
    tries=$((tries + 1))
    [ $((tries % 100)) = 0 ] && say "no network address yet ($((tries / 5)) s)"
    [ $tries -lt 600 ] || { say "no network address after 120 s: going on without one"; return; }
    sleep 0.2
  done
}

run_user_scripts() {
  for script in "$state"/scripts/*; do
    [ -e "$script" ] || continue
    chmod 700 "$script"
    say "running user-data $(basename "$script")"
    (cd / && "$script") >>"$state/user-data.log" 2>&1
    code=$?
    [ $code = 0 ] || say "user-data $(basename "$script") ended with exit code $code: $(tail -n 1 "$state/user-data.log")"
  done
  touch "$state/user-data-done"
  sync
}
