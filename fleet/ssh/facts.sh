# Read-only: tells what there is to know of a host before anything is installed on it.
#
# Arrives on the standard input of bash, after the arrays `endpoints` and `devices` and probe.sh.
# Prints one line "@clock SECONDS.NANOSECONDS" at once, and at the end "@facts", a base64 block and
# "@end". The block holds NUL-terminated texts in pairs: key, value. Everything else that appears is
# noise of the host (login scripts, sudo) and means nothing.
#
# Whatever may wait runs at the same time as the rest, and what can be computed from a text is
# computed by fleet. Nothing is written, not even a here-document: the disk may be full. bash 4.2
# (Amazon Linux 2) is enough.

tell() { printf '%s\0%s\0' "$1" "$2"; }

tell_file() { slurp "$root$2" && tell "$1" "$REPLY"; }

# Starts a command whose output is collected later: sets the named variable to a descriptor.
later() {
  local descriptor
  exec {descriptor}< <("${@:2}" 2>&1 </dev/null; printf '\n%d' $?)
  printf -v "$1" %d "$descriptor"
}

# Tells what a command started by `later` printed; the last line is its exit status.
tell_later() {
  local descriptor=$2
  [[ $descriptor ]] || return
  IFS= read -r -N 262144 -u "$descriptor" REPLY || :
  exec {descriptor}<&-
  tell "$1" "${3:-}$REPLY"
}

# Settings of an agent, one KEY=VALUE a line, without the values that nobody may see.
tell_settings() {
  local line rest kept=
  slurp "$root$2" || return
  rest=$REPLY
  while [[ $rest ]]; do
    line=${rest%%$'\n'*}
    [[ $rest == *$'\n'* ]] && rest=${rest#*$'\n'} || rest=
    case ${line%%=*} in
      *SECRET* | *TOKEN* | *PASSWORD* | *AUTH_DATA* | *ACCESS_KEY* | *CREDENTIAL*)
        line="${line%%=*}=<redacted>" ;;
    esac
    kept+=$line$'\n'
  done
  tell "$1" "$kept"
}

# AWS credentials that the agents would take before their own. Names of places only.
tell_shadows() {
  local file name pattern
  for file in "$root"/etc/ecs/ecs.config "$root"/var/lib/ecs/ecs.config \
    "$root"/etc/systemd/system.conf "$root"/etc/systemd/system.conf.d/*.conf \
    "$root"/{etc,run,usr/lib,lib}/systemd/system/{ecs,amazon-ssm-agent,snap.amazon-ssm-agent.amazon-ssm-agent}.service.d/*.conf; do
    slurp "$file" || continue
    for name in AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_PROFILE \
      AWS_SHARED_CREDENTIALS_FILE AWS_CONFIG_FILE AWS_WEB_IDENTITY_TOKEN_FILE \
      AWS_CONTAINER_CREDENTIALS_RELATIVE_URI AWS_CONTAINER_CREDENTIALS_FULL_URI; do
      # A comment is no setting; in systemd's files the name may follow Environment= and others.
      pattern=$'\n[[:space:]]*([^#[:space:]][^\n]*[^A-Z_])?'$name=
      [[ $'\n'$REPLY =~ $pattern ]] && tell shadow "${file#"$root"}: $name"
    done
  done
  # A registered SSM agent writes this file itself.
  if [[ ! -s $root/var/lib/amazon/ssm/Vault/Store/RegistrationKey ]] &&
    slurp "$root/root/.aws/credentials" && [[ $REPLY == *aws_access_key_id* ]]; then
    tell shadow "/root/.aws/credentials: aws_access_key_id"
  fi
}

tell_agents() {
  local vault
  find_ssm_agent && tell ssm_version "$(timeout 10 "$REPLY" -version 2>&1 </dev/null)"
  # Only these two values of the vault leave the host.
  if slurp_vault; then
    vault=$REPLY
    json_string "$vault" instanceID && tell vault_id "$REPLY"
    json_string "$vault" region && tell vault_region "$REPLY"
  fi
  [[ -e $root/usr/libexec/amazon-ecs-init ]] && tell ecs_installed yes
  [[ -e $root/var/lib/ecs/data/agent.db ]] && tell ecs_state yes
  tell_settings ecs_config /etc/ecs/ecs.config
  tell_settings ecs_var_config /var/lib/ecs/ecs.config
}

# Whether an install runs: its lock is tried for an instant, shared, so that questions asked at the
# same time do not see each other and an install that begins meanwhile waits a moment for it. The
# file is opened for reading alone, which creates nothing.
tell_install() {
  local descriptor
  [[ -f $install_lock && -r $install_lock ]] && exec {descriptor}<"$install_lock" || return
  flock -sn "$descriptor"
  # Any other status is flock's own trouble, or there is no flock, and then no install either.
  if (($? == 1)); then
    slurp "$install_lock"
    tell install_lock "${REPLY%%$'\n'*}"
  fi
  exec {descriptor}<&-
}

# Everything, as root where that is to be had.
gather() {
  local metadata= info= names= space= endpoint device name
  local -A asked=()
  export LC_ALL=C PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/snap/bin
  # First and last: one that ended or began in between has changed what stands between them.
  tell_install
  if has curl; then
    tell curl yes
    later metadata curl -sS --max-time 3 http://localhost:51678/v1/metadata
    for endpoint in "${endpoints[@]}"; do
      # Any HTTP answer will do: without credentials AWS answers 400 or 404.
      later name curl -sS -o /dev/null --max-time 5 "$endpoint"
      asked[$endpoint]=$name
    done
  fi
  if has docker; then
    tell docker yes
    later info timeout 15 docker info --format '{{json .}}'
    later names timeout 15 docker ps --format '{{.Names}}'
    later space timeout 15 docker system df --format '{{.Type}}={{.Reclaimable}}'
  fi
  tell machine "$(uname -m)"
  tell hostname "$(uname -n)"
  tell cpus "$(nproc)"
  tell disk "$(df -Pk "$root/")"
  tell_file os_release /etc/os-release || tell_file os_release /usr/lib/os-release
  tell_file machine_id /etc/machine-id
  tell_file memory /proc/meminfo
  tell_file l4t /etc/nv_tegra_release
  # Not the whole file: it may hold a proxy's password.
  slurp "$root/etc/docker/daemon.json" && json_string "$REPLY" default-runtime &&
    tell docker_default "$REPLY"
  [[ -d $root/run/systemd/system ]] && tell systemd yes
  has gpg && tell gpg yes
  for name in dnf yum apt-get zypper; do
    has $name && tell package_manager ${name%-get} && break
  done
  for device in "${devices[@]}"; do
    [[ -e $root$device ]] && tell device "$device"
  done
  has systemctl && tell units "$(systemctl show -p Id -p LoadState -p ActiveState -p UnitFileState \
    docker.service amazon-ssm-agent.service \
    snap.amazon-ssm-agent.amazon-ssm-agent.service ecs.service)"
  tell_shadows
  tell_agents
  for endpoint in "${!asked[@]}"; do
    tell_later egress "${asked[$endpoint]}" "$endpoint"$'\n'
  done
  tell_later metadata "$metadata"
  tell_later docker_info "$info"
  tell_later docker_names "$names"
  tell_later docker_space "$space"
  tell_install
  tell complete yes
}

main() {
  local block program
  printf '@clock %s\n' "$(date +%s.%N)"
  if [[ $(id -u) == 0 ]]; then
    block=$({ tell privilege root; gather; } 2>/dev/null | base64)
  elif sudo -n true 2>/dev/null </dev/null; then
    program=$(declare -p root install_lock endpoints devices; declare -f; echo gather)
    block=$({ tell privilege sudo; sudo -n bash -s < <(printf '%s\n' "$program"); } 2>/dev/null | base64)
  else
    block=$({ tell privilege none; gather; } 2>/dev/null | base64)
  fi
  printf '@facts\n%s\n@end\n' "$block"
}
