# What both scripts ask of a host. Sent before them; sets `root`, which is empty on a real host.

root=${FLEET_ROOT:-}
# Held by an install for as long as it or a child of it lives; says since when and by whom.
install_lock=$root/run/fleet-install.lock

# Whether the host has this program. Not `command -v`: below another root those of this machine
# are on the PATH too.
has() {
  local folder
  for folder in usr/bin usr/sbin bin sbin usr/local/bin usr/local/sbin snap/bin; do
    [[ -x $root/$folder/$1 ]] && return
  done
  return 1
}

# Sets REPLY to the start of a file; fails when it cannot be read. Read by bash itself, without a
# process, for those cost some 10 ms each on the smallest boxes.
slurp() {
  REPLY=
  [[ -f $1 && -r $1 ]] || return 1
  { IFS= read -r -N 65536 REPLY || :; } 2>/dev/null <"$1"
}

# Sets REPLY to the value of a "name": "value" in a JSON text; fails when there is none.
json_string() {
  local pattern="\"$2\"[[:space:]]*:[[:space:]]*\"([^\"]*)\""
  REPLY=
  [[ $1 =~ $pattern ]] && REPLY=${BASH_REMATCH[1]}
  [[ $REPLY ]]
}

# Sets REPLY to the SSM agent's program, from a package or Ubuntu's snap; fails when there is none.
find_ssm_agent() {
  for REPLY in "$root/usr/bin/amazon-ssm-agent" "$root/snap/amazon-ssm-agent/current/amazon-ssm-agent"; do
    [[ -x $REPLY ]] && return
  done
  return 1
}

# Sets REPLY to what the SSM agent keeps of its registration. Also holds the node's private key!
slurp_vault() { slurp "$root/var/lib/amazon/ssm/Vault/Store/RegistrationKey"; }
