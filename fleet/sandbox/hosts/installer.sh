#!/bin/bash
# ECS Anywhere installation for the hosts of fleet's sandbox.
#
# Takes the flags of AWS's own script and does the same things in the same order, to files of the
# same names, so that what runs it cannot tell. Every path is below ${FLEET_ROOT:-}, which is empty
# on a real host. May be run, or sourced by a root shell that has set the positional parameters.
set -e

region='' cluster=default activation_id='' activation_code='' docker_source=all
ecs_version=latest ecs_endpoint='' certs_file='' deb_url='' rpm_url='' ip_compatibility=''
skip_registration=false no_start=false enable_gpu=false check_signatures=true
root=${FLEET_ROOT:-}
keys=https://raw.githubusercontent.com/aws/amazon-ecs-agent/master/scripts

usage() {
  cat <<'TEXT'
Usage: ecs-anywhere-install.sh --region R --activation-id ID --activation-code CODE [options]
  --cluster NAME                         cluster to join (default: default)
  --enable-gpu                           register NVIDIA GPUs
  --docker-install-source WHERE          all, docker, distro or none (default: all)
  --ecs-version VERSION                  version of the agent (default: latest)
  --ecs-endpoint URL                     another ECS endpoint
  --skip-registration                    the SSM agent is registered already
  --no-start                             install and configure, start nothing of ECS
  --certs-file FILE                      CA bundle for ECS Exec
  --ip-compatibility ipv4|ipv6           (default: found from the routes)
TEXT
}

fail() {
  echo "ERROR: $*" >&2
  exit 1
}

value_of() { # option, value
  case ${2-} in
    '') fail "$1 needs a value" ;;
    --*) fail "$1 needs a value but found '$2', an empty environment variable?" ;;
  esac
}

while (($#)); do
  case $1 in
    --region | --cluster | --activation-id | --activation-code | --docker-install-source | \
      --ecs-version | --ecs-endpoint | --certs-file | --ip-compatibility | --deb-url | --rpm-url)
      value_of "$1" "${2-}"
      ;;
  esac
  case $1 in
    --region) region=$2; shift 2 ;;
    --cluster) cluster=$2; shift 2 ;;
    --activation-id) activation_id=$2; shift 2 ;;
    --activation-code) activation_code=$2; shift 2 ;;
    --docker-install-source) docker_source=$2; shift 2 ;;
    --ecs-version) ecs_version=$2; shift 2 ;;
    --ecs-endpoint) ecs_endpoint=$2; shift 2 ;;
    --certs-file) certs_file=$2; shift 2 ;;
    --ip-compatibility) ip_compatibility=$2; shift 2 ;;
    --deb-url) deb_url=$2; shift 2 ;;
    --rpm-url) rpm_url=$2; shift 2 ;;
    --skip-registration) skip_registration=true; shift ;;
    --skip-gpg-check) check_signatures=false; shift ;;
    --no-start) no_start=true; shift ;;
    --enable-gpu) enable_gpu=true; shift ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; fail "unknown option $1" ;;
  esac
done

[[ $(id -u) == 0 ]] || fail "please run as root"
[[ -d $root/run/systemd/system ]] || fail "systemd is not running; this script needs it"
[[ -n $region ]] || { usage >&2; fail "--region is required"; }
case $docker_source in
  all | docker | distro | none) ;;
  *) fail "--docker-install-source must be all, docker, distro or none, not $docker_source" ;;
esac
case $ip_compatibility in
  '' | ipv4 | ipv6) ;;
  *) fail "--ip-compatibility must be ipv4 or ipv6, not $ip_compatibility" ;;
esac
if $skip_registration; then
  systemctl is-enabled --quiet amazon-ssm-agent ||
    fail "--skip-registration needs an amazon-ssm-agent that is enabled"
else
  [[ -n $activation_id ]] || { usage >&2; fail "--activation-id is required"; }
  [[ -n $activation_code ]] || { usage >&2; fail "--activation-code is required"; }
fi
[[ -z $certs_file || -r $certs_file ]] || fail "cannot read --certs-file $certs_file"

case $(uname -m) in
  x86_64) arch=amd64 ;;
  aarch64) arch=arm64 ;;
  *) fail "Unsupported architecture: $(uname -m)" ;;
esac

[[ -r $root/etc/os-release ]] || fail "there is no /etc/os-release"
release_field() { sed -n "s/^$1=//p" "$root/etc/os-release" | tr -d \"; }
os_id=$(release_field ID)
case $os_id in
  *ubuntu*) distro=ubuntu ;;
  *debian*) distro=debian ;;
  *fedora*) distro=fedora ;;
  *centos*) distro=centos ;;
  *rhel*) distro=rhel ;;
  amzn) [[ $(release_field VERSION_ID) == 2 ]] && distro=al2 || distro='' ;;
  *) distro='' ;;
esac

manager=
for candidate in dnf yum apt-get zypper; do
  if command -v "$candidate" >/dev/null; then manager=$candidate; break; fi
done
[[ -n $manager ]] || fail "found no package manager of dnf, yum, apt, zypper"

install_packages() {
  case $manager in
    apt-get) DEBIAN_FRONTEND=noninteractive apt-get install -y "$@" ;;
    *) "$manager" install -y "$@" ;;
  esac
}

install_file() {
  case $manager in
    apt-get) dpkg -i "$1" ;;
    zypper) rpm -U "$1" ;;
    *) "$manager" install -y "$1" ;;
  esac
}

case $manager in apt-get) format=deb ;; *) format=rpm ;; esac
work=$(mktemp -d "$root/tmp/ecs-anywhere.XXXXXX")
trap 'rm -rf "$work"' EXIT

fetch() { # url, file
  curl -fsSL -o "$2" "$1" || fail "could not download $1"
}

verify() { # signing key, signature, file
  $check_signatures || return 0
  if ! command -v gpg >/dev/null; then
    echo "WARNING: gpg is not installed, $(basename "$3") is used unverified"
    return 0
  fi
  fetch "$keys/$1.gpg" "$work/$1.gpg"
  gpg --import "$work/$1.gpg" || fail "could not import the key $1"
  gpg --verify "$2" "$3" || fail "the signature of $(basename "$3") is not valid"
}

echo "# Installing dependencies"
if [[ $manager == apt-get ]]; then
  apt-get update -y || fail "could not update the package lists"
  command -v curl >/dev/null || install_packages curl
fi
[[ $manager == yum && $distro != al2 ]] && install_packages epel-release
command -v jq >/dev/null || install_packages jq

registered_id() {
  local vault=$root/var/lib/amazon/ssm/Vault/Store/RegistrationKey
  [[ -r $vault ]] || return 0
  sed -n 's/.*"instanceID"[[:space:]]*:[[:space:]]*"\([^"]*\)".*/\1/p' "$vault"
}

install_ssm_agent() {
  echo "# Installing the SSM agent"
  if systemctl is-enabled --quiet amazon-ssm-agent 2>/dev/null; then
    echo "SSM agent is already installed."
  else
    local system=linux
    [[ $format == deb ]] && system=debian
    local url=https://s3.$region.amazonaws.com/amazon-ssm-$region/latest
    url+=/${system}_$arch/amazon-ssm-agent.$format
    fetch "$url" "$work/amazon-ssm-agent.$format"
    fetch "$url.sig" "$work/amazon-ssm-agent.$format.sig"
    verify amazon-ssm-agent "$work/amazon-ssm-agent.$format.sig" "$work/amazon-ssm-agent.$format"
    install_file "$work/amazon-ssm-agent.$format"
  fi
  if [[ -n $(registered_id) ]]; then
    echo "SSM agent is already registered as $(registered_id)."
    return
  fi
  systemctl stop amazon-ssm-agent
  amazon-ssm-agent -register -code "$activation_code" -id "$activation_id" -region "$region" ||
    fail "the SSM agent could not be registered"
  systemctl enable amazon-ssm-agent
  systemctl start amazon-ssm-agent
}
$skip_registration || install_ssm_agent

install_docker() {
  echo "# Installing Docker"
  if command -v docker >/dev/null; then
    echo "docker is already installed."
    return
  fi
  local source=$docker_source
  [[ $source == none ]] && { echo "docker is not installed, as asked for."; return; }
  [[ $source == all && -n $distro && $distro != al2 ]] && source=docker
  [[ $source == all ]] && source=distro
  case $source.$distro in
    docker.rhel) fail "install docker on RHEL yourself and pass --docker-install-source none" ;;
    docker.ubuntu | docker.debian)
      install_packages apt-transport-https ca-certificates software-properties-common
      fetch "https://download.docker.com/linux/$distro/gpg" "$work/docker.gpg"
      apt-key add "$work/docker.gpg"
      add-apt-repository \
        "deb [arch=$arch] https://download.docker.com/linux/$distro $(release_field VERSION_CODENAME) stable"
      apt-get update -y
      install_packages docker-ce docker-ce-cli containerd.io
      ;;
    docker.*) install_packages docker-ce docker-ce-cli containerd.io ;;
    distro.centos | distro.fedora) fail "docker of $distro does not work with SELinux" ;;
    distro.ubuntu | distro.debian) install_packages docker.io ;;
    distro.*) install_packages docker ;;
  esac
}
install_docker

set_up_exec() {
  echo "# Setting up ECS Exec"
  local folder=$root/var/lib/ecs/deps/execute-command
  mkdir -p "$folder/certs" "$folder/bin/3.3.4108.0"
  if [[ -n $certs_file ]]; then
    install -m 0400 "$certs_file" "$folder/certs/tls-ca-bundle.pem"
  elif [[ -r $root/etc/ssl/certs/ca-certificates.crt ]]; then
    install -m 0400 "$root/etc/ssl/certs/ca-certificates.crt" "$folder/certs/tls-ca-bundle.pem"
  fi
  fetch "https://amazon-ssm-$region.s3.$region.amazonaws.com/3.3.4108.0/linux_$arch/amazon-ssm-agent-binaries.tar.gz" \
    "$folder/bin/3.3.4108.0/amazon-ssm-agent-binaries"
}
set_up_exec

install_ecs_agent() {
  echo "# Installing the ECS agent"
  if [[ -e $root/usr/libexec/amazon-ecs-init ]]; then
    # Nothing else happens then: no configuration is written and the service is not touched.
    echo "ECS agent is already installed."
    return
  fi
  local url=https://amazon-ecs-agent-$region.s3.$region.amazonaws.com
  url+=/amazon-ecs-init-$ecs_version.$arch.$format
  [[ $format == deb && -n $deb_url ]] && url=$deb_url
  [[ $format == rpm && -n $rpm_url ]] && url=$rpm_url
  if [[ $url == https://* ]]; then
    fetch "$url" "$work/amazon-ecs-init.$format"
    fetch "$url.asc" "$work/amazon-ecs-init.$format.asc"
    verify amazon-ecs-agent "$work/amazon-ecs-init.$format.asc" "$work/amazon-ecs-init.$format"
  else
    cp "${url#file://}" "$work/amazon-ecs-init.$format"
  fi
  install_file "$work/amazon-ecs-init.$format"

  mkdir -p "$root/etc/ecs" "$root/var/lib/ecs"
  echo "ECS_CLUSTER=$cluster" >>"$root/etc/ecs/ecs.config"
  {
    echo "AWS_DEFAULT_REGION=$region"
    echo "ECS_EXTERNAL=true"
    if [[ -n $ecs_endpoint ]]; then echo "ECS_BACKEND_HOST=$ecs_endpoint"; fi
    if $enable_gpu; then echo "ECS_ENABLE_GPU_SUPPORT=true"; fi
  } >>"$root/var/lib/ecs/ecs.config"
  if $enable_gpu; then
    nvidia-smi || fail "nvidia-smi does not work; the host is configured halfway"
  fi
  systemctl enable ecs
  if $no_start; then
    echo "ECS agent is installed and not started, as asked for."
    return
  fi
  systemctl start ecs
  wait_for_agent
}

wait_for_agent() {
  local answer
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    sleep 10
    answer=$(curl -s --max-time 10 http://localhost:51678/v1/metadata || true)
    if [[ $answer == *'"ContainerInstanceArn": "arn:'* || $answer == *'"ContainerInstanceArn":"arn:'* ]]; then
      echo "$answer"
      return
    fi
    echo "waiting for the ECS agent"
  done
  fail "the ECS agent did not register in time, see /var/log/ecs/ecs-agent.log"
}
install_ecs_agent
echo "# Done"
