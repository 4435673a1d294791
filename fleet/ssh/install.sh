# Brings a host from what it is to three running services, in one go, as root.
#
# Arrives on the standard input of bash, after probe.sh and assignments of: region cluster
# activation_id docker_source runtime wait_s lock_wait_s, and size and SHA-256 of each of the four
# uploads. Behind the last line of the script the same stream carries the uploads, one after the
# other, then the activation code on a line of its own if activation_id is set. bash reads a stream
# byte by byte, so `head -c` and `read` find what follows. The code lives in a variable of this shell:
# in no file, no environment, and on no argument list but that of the agent's own -register.
#
# Prints "@begin", "@step NAME", "@result NAME VALUE", "@fail TEXT" and "@done"; lines of other
# programs come behind "| ". Exit statuses are in install.py.
#
# It may be killed anywhere and run again. Each step looks whether it is done; files are replaced
# whole by a rename. When the SSH link is lost it runs on to its end, since half an install is worse
# than one that nobody watches: a lost link raises no signal here, and a closed output is
# ignored. The lock on the host keeps a second run out until the first has ended, however it ends.

say() { printf '%s\n' "$*" 2>/dev/null || :; }
step() { say "@step $1"; }
fail() { say "@fail ${*:2}"; exit "$1"; }

# Lines of another program, so that it never meets a closed output and cannot speak for us.
relay() {
  local line
  while IFS= read -r line || [[ $line ]]; do say "| $line"; done
}

# Sets REPLY to the node's id in the SSM agent's vault; fails while it is not registered.
vault_id() {
  slurp_vault && json_string "$REPLY" instanceID
}

# Replaces a file by one of the work folder in one rename; fails, touching nothing, if it is the same.
put() {
  local source=$work/$1 target=$root$2 mode=$3
  if cmp -s "$source" "$target"; then
    chmod "$mode" "$target"
    return 1
  fi
  (umask 022 && mkdir -p "${target%/*}") &&
    cp -f "$source" "$target.fleet-new" && chmod "$mode" "$target.fleet-new" &&
    { sync "$target.fleet-new" 2>/dev/null || sync; } && mv -f "$target.fleet-new" "$target" ||
    fail 69 "cannot write $2"
}

take() {
  head -c "$2" >"$work/$1" && [[ $(sha256sum <"$work/$1") == "$3 "* ]] ||
    fail 64 "the upload broke off or was altered"
}

begin() {
  local status
  work= runtime_set=
  export LC_ALL=C PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/snap/bin
  umask 077
  trap '' HUP PIPE
  trap '[[ -z $work ]] || rm -rf -- "$work"' EXIT
  trap 'exit 143' INT TERM
  say @begin
  [[ $(id -u) == 0 ]] || fail 65 "not root"
  mkdir -p "$root/run" && exec 9<>"$install_lock" || fail 69 "cannot write /run"
  flock -w "$lock_wait_s" 9
  status=$?
  if ((status == 1)); then
    slurp "$install_lock"
    fail 75 "another fleet run is installing on this host${REPLY:+, since ${REPLY%%$'\n'*}}"
  fi
  ((status == 0)) || fail 69 "cannot lock /run/fleet-install.lock: flock ended with status $status"
  # Emptied first: what stands there is of a run that has ended.
  : >"$install_lock"
  printf '%s by pid %d\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" $$ >"$install_lock"
  # The lock is ours, so these were left behind by runs that were killed.
  rm -rf -- "$root"/var/tmp/fleet-install.*
  mkdir -p "$root/var/tmp" && work=$(mktemp -d "$root/var/tmp/fleet-install.XXXXXX") ||
    fail 69 "cannot write /var/tmp"
}

receive() {
  code=
  take installer "$installer_size" "$installer_sha256"
  take ecs.config "$ecs_config_size" "$ecs_config_sha256"
  take var.config "$ecs_var_config_size" "$ecs_var_config_sha256"
  take store.json "$store_json_size" "$store_json_sha256"
  if [[ $activation_id ]]; then
    IFS= read -r code || fail 64 "the upload broke off before the activation code"
  fi
  exec </dev/null
}

find_units() {
  ssm_unit=amazon-ssm-agent
  if [[ -e $root/snap/amazon-ssm-agent || -e $root/etc/systemd/system/snap.amazon-ssm-agent.amazon-ssm-agent.service ]]; then
    ssm_unit=snap.amazon-ssm-agent.amazon-ssm-agent
  fi
}

docker_runs_with() {
  json_string "$(timeout 15 docker info --format '{{json .}}' 2>/dev/null)" DefaultRuntime &&
    [[ $REPLY == "$1" ]]
}

# Sets docker's default runtime and puts everything back when docker does not come up with it.
set_runtime() {
  local file=$root/etc/docker/daemon.json
  step runtime
  runtime_set=yes
  if ! { slurp "$file" && json_string "$REPLY" default-runtime && [[ $REPLY == "$runtime" ]]; }; then
    rm -f "$file.before-fleet"
    if [[ ! -s $file ]]; then
      printf '{\n    "default-runtime": "%s"\n}\n' "$runtime" >"$work/daemon.json"
    elif command -v python3 >/dev/null; then
      python3 -c 'import json, sys
settings = json.load(open(sys.argv[1]))
settings["default-runtime"] = sys.argv[2]
print(json.dumps(settings, indent=4))' "$file" "$runtime" >"$work/daemon.json" 2>/dev/null
    elif command -v jq >/dev/null; then
      jq --indent 4 --arg runtime "$runtime" '."default-runtime" = $runtime' "$file" >"$work/daemon.json"
    else
      fail 67 "/etc/docker/daemon.json has settings, and the host has neither python3 nor jq to add one"
    fi || fail 67 "/etc/docker/daemon.json is not a JSON object; it was left as it is"
    if [[ -s $file ]]; then
      cp -p "$file" "$file.before-fleet" || fail 67 "cannot keep a copy of /etc/docker/daemon.json"
    fi
    put daemon.json /etc/docker/daemon.json 644
  elif docker_runs_with "$runtime"; then
    return
  fi
  systemctl restart docker 2>&1 | relay
  docker_runs_with "$runtime" && return
  if [[ -e $file.before-fleet ]]; then mv -f "$file.before-fleet" "$file"; else rm -f "$file"; fi
  systemctl restart docker 2>&1 | relay
  fail 67 "docker does not run with default-runtime \"$runtime\"; daemon.json was put back"
}

# AWS's own script, sourced so that the code is on no argument list.
source_installer() {
  (
    trap - PIPE
    # What it writes for others, as apt's keys, must be readable by them.
    umask 022
    # It unpacks into the current folder.
    cd "$work" || exit 1
    # A box that was just switched on is often busy updating itself.
    echo 'DPkg::Lock::Timeout "300";' >"$work/apt.conf"
    export APT_CONFIG=$work/apt.conf DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a
    . "$work/installer"
  ) 2>&1 </dev/null | relay
  return "${PIPESTATUS[0]}"
}

install_packages() {
  local -a arguments=(--region "$region" --cluster "$cluster" --docker-install-source "$docker_source" --no-start)
  local node status
  if vault_id; then
    node=$REPLY
    find_ssm_agent || fail 72 "the vault holds $node, but the SSM agent is not installed"
    # Someone may have registered by hand, or a run before this one did: the vault decides.
    arguments+=(--skip-registration)
    [[ -e $root/usr/libexec/amazon-ecs-init ]] && has docker && return
    systemctl enable "$ssm_unit" 2>&1 | relay
  elif [[ $activation_id ]]; then
    arguments+=(--activation-id "$activation_id" --activation-code "$code")
  else
    fail 72 "the vault holds no registration, and no activation was handed over"
  fi
  step installer
  # A run that was killed may have left a package half configured, which blocks the next one.
  if has dpkg && [[ $(dpkg --audit 2>/dev/null) ]]; then
    DEBIAN_FRONTEND=noninteractive dpkg --configure -a 2>&1 | relay
  fi
  # Not `source_installer || fail`: bash ignores the installer's own `set -e` behind an ||.
  source_installer "${arguments[@]}"
  status=$?
  ((status == 0)) || fail 68 "AWS's installer ended with status $status"
  code= arguments=()
  vault_id || fail 68 "AWS's installer ended well, but the SSM agent is not registered"
  [[ -e $root/usr/libexec/amazon-ecs-init ]] ||
    fail 68 "AWS's installer ended well, but the ECS agent is not installed"
}

write_config() {
  step config
  config_changed=
  # AWS's installer appends to these without end, and leaves them alone when the agent is there.
  put ecs.config /etc/ecs/ecs.config 600 && config_changed=yes
  put var.config /var/lib/ecs/ecs.config 644 && config_changed=yes
  put store.json /etc/fleet/store.json 644
}

start_services() {
  local unit verb=start
  for unit in docker "$ssm_unit"; do
    step "$unit"
    { systemctl enable "$unit" && systemctl start "$unit"; } 2>&1 | relay
    [[ ${PIPESTATUS[0]} == 0 ]] || fail 70 "systemctl could not start $unit"
  done
  step ecs
  systemctl enable ecs 2>&1 | relay
  if [[ $config_changed ]] && systemctl is-active --quiet ecs; then verb=restart; fi
  # During first boot ecs.service waits for cloud-init, which may be waiting for us.
  systemctl --no-block $verb ecs 2>&1 | relay
  [[ ${PIPESTATUS[0]} == 0 ]] || fail 70 "systemctl could not $verb ecs"
}

# Waits until the ECS agent says that it is registered; ends early when it has given up.
await_registration() {
  local tries=0 metadata= state
  step registration
  until metadata=$(curl -s --max-time 3 http://localhost:51678/v1/metadata 2>/dev/null) &&
    json_string "$metadata" ContainerInstanceArn; do
    ((++tries >= wait_s)) && explain "the ECS agent is not registered after $wait_s tries"
    if ((tries % 5 == 0)); then
      state=$(systemctl is-active ecs 2>/dev/null)
      [[ $state == failed ]] && explain "the ECS agent gave up"
    fi
    sleep 1
  done
  say "@result container_instance_arn $REPLY"
  json_string "$metadata" Version && say "@result ecs_agent_version $REPLY"
  json_string "$metadata" Cluster
  [[ $REPLY == "$cluster" || $REPLY == */"$cluster" ]] ||
    fail 71 "the ECS agent is registered in cluster \"$REPLY\", not \"$cluster\""
}

explain() {
  local log=$root/var/log/ecs/ecs-agent.log
  [[ -r $log ]] && tail -n 8 "$log" | relay
  fail 71 "$1"
}

report() {
  vault_id && say "@result managed_instance_id $REPLY"
  find_ssm_agent && say "@result ssm_agent_version $(timeout 10 "$REPLY" -version 2>/dev/null)"
  json_string "$(timeout 15 docker info --format '{{json .}}' 2>/dev/null)" ServerVersion &&
    say "@result docker_version $REPLY"
  say @done
}

main() {
  begin
  step upload
  receive
  find_units
  if [[ $runtime ]] && has docker; then set_runtime; fi
  install_packages
  if [[ $runtime && ! $runtime_set ]]; then set_runtime; fi
  write_config
  find_units
  start_services
  await_registration
  report
  exit 0
}
