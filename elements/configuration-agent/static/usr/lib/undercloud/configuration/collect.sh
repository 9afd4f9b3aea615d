# Fetches this machine's metadata document. $state/collectors.json is the os-collect-config section in force; $run/document.json the newest document; $run/changed says it is new.

first_collectors() {
  document=$root/var/lib/heat-cfntools/cfn-init-data
  if [ -s "$document" ] && jq -e 'type == "object"' "$document" >/dev/null 2>&1; then
    cp "$document" "$run/first.json"
  else
    meta '{"os-collect-config": (.["os-collect-config"] // .meta["os-collect-config"] // empty | if type == "string" then fromjson else . end),
      "deployments": (.deployments // .meta.deployments // [] | if type == "string" then fromjson else . end)}' >"$run/first.json" 2>/dev/null || echo '{}' >"$run/first.json"
  fi
  [ -s "$run/first.json" ] || echo '{}' >"$run/first.json"
  rm -f "$run/document.json"
  [ -s "$state/collectors.json" ] || adopt_collectors "$run/first.json"
}

# A document that names collectors reconfigures the agent; old transports are sent as nulls.
adopt_collectors() {
  jq -e '.["os-collect-config"] | objects | with_entries(select(.value != null))' "$1" >"$run/collectors.new" 2>/dev/null || return 1
  cmp -s "$run/collectors.new" "$state/collectors.json" 2>/dev/null && return 0
  (umask 077; cp "$run/collectors.new" "$state/collectors.json")
  rm -f "$run/cfn.url" "$run/token"
  rm -f "$run/etag"
  interval= kind=
}

polling_interval() {
  [ -n "${interval:-}" ] || interval=$(jq -r '.polling_interval // .["polling-interval"] // 5 | tonumber | if . < 1 then 1 else . end' "$state/collectors.json" 2>/dev/null)
  echo "${interval:-5}"
}

collector() {
  jq -r 'if (.cfn.metadata_url // "") != "" then "cfn" elif (.heat.auth_url // "") != "" then "heat" elif (.request.metadata_url // "") != "" then "request" else "none" end' "$state/collectors.json" 2>/dev/null || echo none
}

# AWS signature version 2 without a time, as boto makes it for os-collect-config: the same URL holds for every poll.
cfn_url() {
  [ -s "$run/cfn.url" ] || {
    base=$(jq -r .cfn.metadata_url "$state/collectors.json")
    case $base in
      *Signature=*) printf '%s' "$base" ;;
      *)
        query=$(jq -r '.cfn | "AWSAccessKeyId=\(.access_key_id | @uri)&Action=DescribeStackResource&LogicalResourceId=\(.path | split(".")[0] | @uri)&SignatureMethod=HmacSHA256&SignatureVersion=2&StackName=\(.stack_name | @uri)"' "$state/collectors.json")
        rest=${base#*://}
        host=${rest%%/*}
        path=/${rest#*/}
        [ "$rest" = "$host" ] && path=/
        signature=$(printf 'GET\n%s\n%s\n%s' "$(printf %s "$host" | tr A-Z a-z)" "$path" "$query" | openssl dgst -sha256 -hmac "$(jq -r .cfn.secret_access_key "$state/collectors.json")" -binary | base64 -w 0)
        printf '%s?%s&Signature=%s' "$base" "$query" "$(printf %s "$signature" | jq -sRr @uri)"
        ;;
    esac >"$run/cfn.url"
  }
  cat "$run/cfn.url"
}

# One long poll: the undercloud answers when the document is another than the one with this ETag, or with 304 after the time
# asked for. Others know no `Prefer` and answer at once; then the interval is slept. $1: where to; $2: URL; the rest goes to curl.
fetch_newer() {
  target=$1 url=$2
  shift 2
  waited= unchanged=
  [ -s "$run/document.json" ] && [ ! -e "$run/changed" ] || rm -f "$run/etag"
  fetch --max-time 60 -D "$run/head" -o "$target" -H "Prefer: wait=${UC_WAIT:-25}" -H "If-None-Match: $(cat "$run/etag" 2>/dev/null || echo '""')" "$@" "$url" || return 1
  tr -d '\r' <"$run/head" >"$run/head.lines"
  grep -qi '^preference-applied: *wait' "$run/head.lines" && waited=yes
  grep -q '^HTTP/[0-9.]* 304' "$run/head.lines" && { unchanged=yes; return 0; }
  sed -n 's/^[Ee][Tt][Aa][Gg]: *//p' "$run/head.lines" | tail -n 1 >"$run/etag"
}

collect_cfn() {
  fetch_newer "$run/cfn.xml" "$(cfn_url)" || return 1
  [ -z "$unchanged" ] || { cp "$run/document.json" "$1"; return 0; }
  # The document is one JSON text inside <Metadata>; JSON has no line ends of its own.
  tr '\n' ' ' <"$run/cfn.xml" | sed -n 's/.*<Metadata>\(.*\)<\/Metadata>.*/\1/p' |
    sed 's/&lt;/</g; s/&gt;/>/g; s/&quot;/"/g; s/&#34;/"/g; s/&apos;/'"'"'/g; s/&#39;/'"'"'/g; s/&#xA;/ /g; s/&#10;/ /g; s/&amp;/\&/g' >"$1"
}

# Keystone v3: a token for the stack's own user, and the orchestration endpoint of its region. $1: JSON with auth_url, user_id or username, password, project_id, region_name.
heat_session() {
  [ -s "$run/token" ] && [ -z "$(find "$run/token" -mmin +30)" ] && return 0
  url=$(printf %s "$1" | jq -r '.auth_url | sub("/+$"; "") | if test("/v3$") then . else . + "/v3" end')
  printf %s "$1" | jq '{auth: {identity: {methods: ["password"], password: {user: (if .user_id then {id: .user_id} else {name: .username, domain: {name: (.user_domain_name // "heat")}} end + {password: .password})}}, scope: {project: {id: .project_id}}}}' >"$run/auth.json"
  (umask 077; fetch -D "$run/auth.head" -o "$run/auth.answer" -H 'Content-Type: application/json' -d @"$run/auth.json" "$url/auth/tokens") || return 1
  (umask 077; sed -n 's/\r$//; s/^[Xx]-[Ss]ubject-[Tt]oken: *//p' "$run/auth.head" >"$run/token")
  jq -r --arg region "$(printf %s "$1" | jq -r '.region_name // empty')" '[.token.catalog[] | select(.type == "orchestration") | .endpoints[] | select(.interface == "public" and ($region == "" or .region == $region or .region_id == $region)) | .url][0] // empty' "$run/auth.answer" >"$run/endpoint"
  rm -f "$run/auth.json" "$run/auth.answer"
  [ -s "$run/token" ] && [ -s "$run/endpoint" ]
}

collect_heat() {
  heat_session "$(jq -c .heat "$state/collectors.json")" || return 1
  path=$(jq -r '.heat | "stacks/\(.stack_id)/resources/\(.resource_name | @uri)/metadata"' "$state/collectors.json")
  fetch_newer "$run/heat.json" "$(cat "$run/endpoint")/$path" -H "X-Auth-Token: $(cat "$run/token")" || { rm -f "$run/token"; return 1; }
  [ -z "$unchanged" ] || { cp "$run/document.json" "$1"; return 0; }
  jq '.metadata' "$run/heat.json" >"$1"
}

# One URL that holds the document; it is fetched again when its Last-Modified has moved.
collect_request() {
  url=$(jq -r .request.metadata_url "$state/collectors.json")
  fetch --head "$url" 2>/dev/null | tr -d '\r' | grep -i '^last-modified:' >"$run/modified.new"
  if [ -s "$run/modified.new" ] && [ -s "$run/document.json" ] && cmp -s "$run/modified.new" "$run/modified"; then
    cp "$run/document.json" "$1"
    return 0
  fi
  fetch_newer "$1" "$url" || return 1
  [ -z "$unchanged" ] || cp "$run/document.json" "$1"
  mv "$run/modified.new" "$run/modified"
}

collect() {
  [ -n "${kind:-}" ] || kind=$(collector)
  if [ "$kind" = none ]; then
    cp "$run/first.json" "$run/document.new"
  elif ! "collect_$kind" "$run/document.new" 2>"$run/collect.log"; then
    failures=$((${failures:-0} + 1))
    [ $((failures % 12)) = 1 ] && say "no metadata by collector $kind: $(tail -n 1 "$run/collect.log")"
    return 1
  fi
  failures=0
  [ -s "$run/document.json" ] && cmp -s "$run/document.new" "$run/document.json" && return 0
  if ! jq -e 'type == "object"' "$run/document.new" >/dev/null 2>&1; then
    say "the metadata of collector $kind is not a JSON object; it is left out"
    return 1
  fi
  mv "$run/document.new" "$run/document.json"
  touch "$run/changed"
  adopt_collectors "$run/document.json"
  return 0
}

# The scripts of one of os-refresh-config's phases, in order; the first failure ends it and the phase is tried again at the next poll.
refresh() {
  for script in "$root/usr/libexec/os-refresh-config/$1.d"/*; do
    [ -f "$script" ] && [ -x "$script" ] || continue
    OS_CONFIG_FILES=$run/document.json "$script" >"$run/refresh.log" 2>&1 || {
      say "os-refresh-config $1.d/$(basename "$script") failed: $(tail -n 1 "$run/refresh.log")"
      return 1
    }
  done
}
