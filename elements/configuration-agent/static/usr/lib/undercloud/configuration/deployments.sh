# Software deployments: run once by id, result in $state/deployed/ID.json, signalled until taken (ID.signalled).
# Not below /run, where heat-agents keep it: Debian mounts /run noexec.
work=$root/var/lib/heat-config/heat-config-script

hook_of() {
  case $1 in */* | .* | '') return 1 ;; esac
  for directory in "$root/var/lib/heat-config/hooks" "$root/usr/libexec/heat-config/hooks"; do
    [ -x "$directory/$1" ] && { echo "$directory/$1"; return 0; }
  done
  return 1
}

# The last 256 KiB of a log: a status column is no place for more.
tail_of() { tail -c 262144 "$1" | iconv -f utf-8 -t utf-8 -c 2>/dev/null || tail -c 262144 "$1" | tr -cd '\11\12\15\40-\176'; }

# Group script: inputs as environment, outputs as files beside the script (so nothing of ours may lie there). $1: the deployment's JSON; prints the result's JSON.
run_script() {
  file=$work/$id
  own=$run/script
  rm -rf "$own" "$file" "$file".*
  mkdir -p "$own"
  jq -j '.config // ""' "$1" >"$file"
  chmod 700 "$file"
  jq -r '.inputs // [] | .[] | select(.name | test("^[A-Za-z_][A-Za-z0-9_]*$")) | "\(.name)=\(.value // "" | if type == "string" then . else tojson end | @sh)"' "$1" >"$own/environment"
  (
    set -a
    . "$own/environment"
    heat_outputs_path=$file
    set +a
    cd "$work" && exec "$file"
  ) >"$own/stdout" 2>"$own/stderr" </dev/null
  code=$?
  tail_of "$own/stdout" >"$own/out"
  tail_of "$own/stderr" >"$own/err"
  jq -n --rawfile stdout "$own/out" --rawfile stderr "$own/err" --argjson code "$code" '{deploy_stdout: $stdout, deploy_stderr: $stderr, deploy_status_code: $code}' >"$own/result"
  jq -r '.outputs // [] | .[].name | select(test("^[A-Za-z0-9_.-]+$"))' "$1" | while IFS= read -r output; do
    [ -e "$file.$output" ] || continue
    jq --arg name "$output" --rawfile value "$file.$output" '.[$name] = $value' "$own/result" >"$own/next" && mv "$own/next" "$own/result"
  done
  cat "$own/result"
  rm -f "$own/environment"
}

run_hook() {
  # os-apply-config and its like read the whole document from there.
  if OS_CONFIG_FILES=$run/document.json "$2" <"$1" >"$work/$id.hook" 2>"$work/$id.hook-errors" && jq -e 'type == "object"' "$work/$id.hook" >/dev/null 2>&1; then
    cat "$work/$id.hook"
  else
    tail_of "$work/$id.hook-errors" >"$work/$id.err"
    jq -n --rawfile stderr "$work/$id.err" --arg group "$group" '{deploy_stdout: "", deploy_stderr: ("The hook of group \($group) failed.\n" + $stderr), deploy_status_code: 1}'
  fi
}

run_deployments() {
  mkdir -p "$work"
  chmod 700 "$work"
  count=$(jq '.deployments // [] | length' "$run/document.json")
  index=0
  while [ $index -lt "$count" ]; do
    jq ".deployments[$index]" "$run/document.json" >"$run/deployment.json"
    index=$((index + 1))
    id=$(jq -r '.id // ""' "$run/deployment.json")
    case $id in '' | */* | .*) say "a deployment without a proper id is left out"; continue ;; esac
    [ ! -e "$state/deployed/$id.json" ] || continue
    group=$(jq -r '.group // ""' "$run/deployment.json")
    case $group in os-apply-config | Heat::Ungrouped | '') continue ;; esac
    name=$(jq -r '.name // .id' "$run/deployment.json")
    say "deployment $name ($group) runs"
    if [ "$group" = component ]; then
      # The part of an OS::Heat::SoftwareComponent that is for this action, by its own tool; none is nothing to do.
      jq '(first(.inputs // [] | .[] | select(.name == "deploy_action") | .value) // "") as $action
        | (first(.config.configs // [] | .[] | select(.actions | index($action))) // {tool: "script", config: "#!/bin/sh\n:\n"}) as $part
        | .group = $part.tool | .config = $part.config' "$run/deployment.json" >"$run/component.json" && mv "$run/component.json" "$run/deployment.json"
      group=$(jq -r '.group // ""' "$run/deployment.json")
    fi
    if hook=$(hook_of "$group"); then result=$(run_hook "$run/deployment.json" "$hook")
    elif [ "$group" = script ]; then result=$(run_script "$run/deployment.json")
    else result=$(jq -n --arg group "$group" '{deploy_stdout: "", deploy_stderr: "This image has no hook for deployments of group \"\($group)\" (/usr/libexec/heat-config/hooks/\($group)).", deploy_status_code: 1}')
    fi
    # The result is on disk before it is told: a power cut neither repeats the deployment nor loses its result.
    (umask 077; printf '%s' "$result" >"$state/deployed/$id.new"; cp "$run/deployment.json" "$state/deployed/$id.deployment")
    sync
    mv "$state/deployed/$id.new" "$state/deployed/$id.json"
    say "deployment $name ended with status $(printf %s "$result" | jq -r '.deploy_status_code // 0')"
    signal "$id"
  done
}

input() { jq -r --arg name "$1" 'first(.inputs // [] | .[] | select(.name == $name) | .value) // empty' "$state/deployed/$id.deployment"; }

# Sends one result. 0: taken, or nobody wants it; 1: to be tried again.
send() {
  url=$(input deploy_signal_id)
  if [ -n "$url" ]; then
    verb=$(input deploy_signal_verb)
    code=$(curl -sS -o "$run/signal.answer" -w '%{http_code}' --connect-timeout 5 --max-time 60 ${root:+--cacert "$root/etc/ssl/certs/ca-certificates.crt"} -X "${verb:-POST}" -H 'Content-Type: application/json' --data-binary @"$state/deployed/$id.json" "$url" 2>"$run/signal.log")
  elif [ -n "$(input deploy_auth_url)" ]; then
    rm -f "$run/token"
    heat_session "$(jq -c '[.inputs[] | select(.name | startswith("deploy_")) | {key: (.name | sub("^deploy_"; "")), value: .value}] | from_entries' "$state/deployed/$id.deployment")" 2>"$run/signal.log" || return 1
    code=$(curl -sS -o "$run/signal.answer" -w '%{http_code}' --connect-timeout 5 --max-time 60 ${root:+--cacert "$root/etc/ssl/certs/ca-certificates.crt"} -H "X-Auth-Token: $(cat "$run/token")" -H 'Content-Type: application/json' --data-binary @"$state/deployed/$id.json" \
      "$(cat "$run/endpoint")/stacks/$(input deploy_stack_id)/resources/$(input deploy_resource_name)/signal" 2>"$run/signal.log")
    rm -f "$run/token"
  else
    return 0
  fi
  case $code in
    2*) return 0 ;;
    4*) say "the signal of deployment $id was refused with status $code: $(head -c 200 "$run/signal.answer")"; return 0 ;;
    *) return 1 ;;
  esac
}

signal() {
  id=$1
  attempt=0
  delay=1
  until send; do
    attempt=$((attempt + 1))
    if [ $attempt -ge "${UC_SIGNAL_TRIES:-10}" ]; then
      say "the signal of deployment $id was not taken in $attempt attempts (status ${code:-none}: $(tail -n 1 "$run/signal.log")); it is sent again at the next poll"
      return 1
    fi
    sleep "${UC_RETRY:-$delay}"
    [ $delay -ge 30 ] || delay=$((delay * 2))
  done
  touch "$state/deployed/$id.signalled"
}

# Results that nobody has taken yet, from before a reboot or a lost network.
signal_pending() {
  for result in "$state"/deployed/*.json; do
    [ -e "$result" ] || continue
    id=$(basename "$result" .json)
    [ -e "$state/deployed/$id.signalled" ] || UC_SIGNAL_TRIES=1 signal "$id"
  done
}
