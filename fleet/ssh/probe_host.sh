# What `fleet drift --deep` asks of a host, through Run Command or SSH. Changes nothing there, and
# prints one short block: Run Command shows no more than 2,500 characters without being asked twice.

root=${FLEET_ROOT:-}

# Docker is root's; a login that may not be root sees no containers, and says so.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# How often containers were started again: the agent's own count, from the metadata that each can
# ask for itself, and the ends that docker still has in memory. Docker's RestartCount counts only
# what docker restarts. Of a container's environment nothing but that address is read.
restarts() {
  local id said name uri count names=
  for id in "$@"; do
    said=$(as_root docker inspect --format '{{.Name}} {{range .Config.Env}}{{.}} {{end}}' "$id" 2>/dev/null) || continue
    name=${said%% *}
    names="$names $name"
    uri=$(printf '%s' "$said" | grep -o 'ECS_CONTAINER_METADATA_URI_V4=http://169.254.170.2/v4/[0-9A-Za-z-]*' | head -n 1)
    [ "$uri" ] || continue
    count=$(curl -s --max-time 3 "${uri#*=}" 2>/dev/null | grep -o '"RestartCount": *[0-9]*' | head -n 1)
    [ -z "$count" ] || echo "m $name|${count##*[!0-9]}"
  done
  # An engine that is too old for one of these words prints nothing.
  as_root timeout 10 docker events --since 24h --until "$(date +%s)" --filter type=container \
    --filter event=die --format '{{.Actor.Attributes.name}} {{.Actor.Attributes.exitCode}}' 2>/dev/null |
    awk -v names="$names " 'index(names, " /" $1 " ") { ends[$1]++; code[$1] = $2 }
      END { for (name in ends) print "e /" name "|" ends[name] "|" code[name] }'
}

containers() {
  local ids images
  ids=$(as_root docker ps -q --no-trunc) || return 1
  [ "$ids" ] || return 0
  # What ended between the two questions is no longer a container that runs.
  as_root docker inspect --format 'c {{.Image}}|{{.State.StartedAt}}|{{index .Config.Labels "com.amazonaws.ecs.task-arn"}}|{{index .Config.Labels "com.amazonaws.ecs.container-name"}}|{{.Name}}|{{.Config.Image}}|{{.Created}}|{{.State.FinishedAt}}|{{index .Config.Labels "com.amazonaws.ecs.task-definition-family"}}:{{index .Config.Labels "com.amazonaws.ecs.task-definition-version"}}' $ids 2>/dev/null || :
  restarts $ids || :
  images=$(as_root docker inspect --format '{{.Image}}' $ids 2>/dev/null | sort -u) || :
  [ "$images" ] || return 0
  as_root docker image inspect --format 'i {{.Id}}|{{range .RepoDigests}}{{.}} {{end}}' $images 2>/dev/null || :
}

main() {
  local zone hottest='' degrees name value rest
  echo 'fleet-probe 1'
  echo "time $(date +%s.%N)"
  while read -r name value rest; do
    [ "$name" = btime ] && echo "boot $value"
  done <"$root/proc/stat" 2>/dev/null
  df -Pk / | { read -r _; read -r _ total _ free rest; echo "disk $free $total"; }
  for zone in "$root"/sys/class/thermal/thermal_zone*/temp; do
    # A zone that is asleep cannot be read.
    { read -r degrees <"$zone"; } 2>/dev/null || continue
    [ "${degrees#-}" -ge 0 ] 2>/dev/null || continue
    if [ -z "$hottest" ] || [ "$degrees" -gt "$hottest" ]; then hottest=$degrees; fi
  done
  [ -z "$hottest" ] || echo "temperature $hottest"
  { read -r value <"$root/etc/machine-id" && echo "machine $value"; } 2>/dev/null
  if said=$(containers 2>/dev/null); then
    [ -z "$said" ] || printf '%s\n' "$said"
    echo 'docker ok'
  else
    echo 'docker silent'
  fi
  echo end
}
