# Where this machine's metadata is: files of openstack/latest copied to $run/instance.
metadata_url=${UC_METADATA_URL:-http://169.254.169.254}
FILES="meta_data.json user_data vendor_data.json vendor_data2.json network_data.json"

# The system's certificates with the undercloud's own among them (install_certificates).
fetch() { curl -sS --fail --location --connect-timeout 5 --max-time 30 ${root:+--cacert "$root/etc/ssl/certs/ca-certificates.crt"} "$@"; }

copy_drive() {
  [ -s "$1/openstack/latest/meta_data.json" ] || return 1
  for file in $FILES; do
    [ ! -e "$1/openstack/latest/$file" ] || cp "$1/openstack/latest/$file" "$run/instance/$file"
  done
}

from_drive() {
  copy_drive "$root/var/lib/cloud/seed/config_drive" && { source=seed; return 0; }
  [ -z "$root" ] || return 1
  device=$(blkid -t LABEL=config-2 -o device | head -n 1)
  [ -n "$device" ] || device=$(blkid -t LABEL=CONFIG-2 -o device | head -n 1)
  [ -n "$device" ] || return 1
  mkdir -p "$run/drive"
  mount -o ro "$device" "$run/drive" || { say "the config drive $device cannot be mounted; asking $metadata_url instead"; return 1; }
  copy_drive "$run/drive"
  result=$?
  umount "$run/drive"
  source=$device
  return $result
}

from_service() {
  fetch -o "$run/instance/meta_data.json" "$metadata_url/openstack/latest/meta_data.json" 2>"$run/fetch.log" || return 1
  for file in $FILES; do
    [ "$file" = meta_data.json ] || fetch -o "$run/instance/$file" "$metadata_url/openstack/latest/$file" 2>/dev/null || rm -f "$run/instance/$file"
  done
  source=$metadata_url
}

find_instance() {
  rm -rf "$run/instance"
  mkdir -p "$run/instance"
  tries=0
  until from_drive || from_service; do
    tries=$((tries + 1))
    [ $((tries % 30)) = 1 ] && [ $tries -gt 1 ] && say "no config drive, and no metadata yet: $(tail -n 1 "$run/fetch.log")"
    sleep "${UC_RETRY:-1}"
  done
  if ! jq -e 'type == "object"' "$run/instance/meta_data.json" >/dev/null 2>&1; then
    say "the metadata from $source is not a JSON object; trying again in 10 s"
    sleep "${UC_RETRY:-10}"
    exit 1
  fi
}

meta() { jq -r "$1" "$run/instance/meta_data.json"; }

# Another instance on the same disk starts from nothing; the same one after a reboot goes on.
begin_instance() {
  id=$(meta '.uuid // .["instance-id"] // "unknown"')
  if [ "$(cat "$state/instance-id" 2>/dev/null)" != "$id" ]; then
    rm -rf "$state"
    mkdir -p "$state/deployed"
    chmod 700 "$state"
    echo "$id" >"$state/instance-id"
    say "new instance $id, metadata from $source"
  fi
}
