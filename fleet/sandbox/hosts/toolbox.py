"""The programs of simulated hosts: a shared folder of stubs that call the program server.

What the simulation must answer itself (systemctl, docker, curl, ...) is a small shell script that
hands its arguments to the daemon over a loopback socket, because starting Python costs 50 ms each
time. Other programs are this machine's own, by name: only what a bare Linux server has, so that a
docker or a gpg of the developer's is not mistaken for the host's.
"""

import shutil
import sys
from pathlib import Path

CALL = "sandbox-call"
#: On every host, and answered by the daemon.
SERVED = ("systemctl", "df", "sleep", "sandbox-clock")

_OWN = (
    "[ arch awk base32 base64 basename bash cat chgrp chmod chown cksum cmp comm cp csplit cut dd "
    "diff dirname echo egrep env expand expr factor false fgrep find flock fmt fold getent grep "
    "gunzip gzip head install join kill ln logname ls md5sum mkdir mkfifo mknod mktemp mv nice nl "
    "nohup od openssl paste pgrep pkill pr printenv printf ps pwd readlink realpath rm rmdir sed "
    "seq setsid sh sha1sum sha256sum sha512sum shuf sort split stat stdbuf sync tac tail tar tee "
    "test timeout touch tr true truncate tsort tty uniq unlink wc which xargs xz yes zcat"
)
_SEARCH = "/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin"

_CALL_SCRIPT = r"""#!/bin/bash
# Ask the daemon to do what a program of this name does on this host.
name=${0##*/}
if ! {
  IFS=' ' read -r port token < "${FLEET_ROOT:?}/run/sandbox/bridge" &&
    exec 3<>"/dev/tcp/127.0.0.1/$port"
} 2>/dev/null; then
  echo "$name: the sandbox is not running" >&2
  exit 125
fi
printf '%s\0' "$token" "$name" "$PWD" "${FLEET_SANDBOX_ROOT:-0}" "$#" "$@" >&3
if ! IFS=' ' read -r status out err <&3; then
  echo "$name: the sandbox went away" >&2
  exit 125
fi
if ((out)); then head -c "$out" <&3; fi
if ((err)); then head -c "$err" <&3 >&2; fi
exit "$status"
"""

_SUDO = r"""#!/bin/bash
# Become root without asking: allowed while the host has a sudoers entry for its login.
root=${FLEET_ROOT:?}
while (($#)); do
  case $1 in
    -n | --non-interactive | -E | -H | -S | -i | -s | -k) shift ;;
    -u | -g | -p) shift 2 ;;
    --) shift; break ;;
    -l | -v) list=1; shift ;;
    *=*) export "${1?}"; shift ;;
    *) break ;;
  esac
done
if [[ ${FLEET_SANDBOX_ROOT:-0} != 1 && ! -e $root/etc/sudoers.d/fleet ]]; then
  echo "sudo: a password is required" >&2
  exit 1
fi
if [[ -n ${list-} && $# -eq 0 ]]; then exit 0; fi
export FLEET_SANDBOX_ROOT=1 HOME=$root/root USER=root LOGNAME=root SUDO_USER=${USER-}
exec "$@"
"""

_ID = r"""#!/bin/bash
if [[ ${FLEET_SANDBOX_ROOT:-0} == 1 ]]; then uid=0 name=root; else uid=1000 name=${USER-fleet}; fi
case ${1-} in
  -u | -g | -G | --user) echo "$uid" ;;
  -un | -gn | -nu) echo "$name" ;;
  *) echo "uid=$uid($name) gid=$uid($name) groups=$uid($name)" ;;
esac
"""

_UNAME = r"""#!/bin/bash
. "${FLEET_ROOT:?}/run/sandbox/machine"
declare -A parts=([s]=Linux [n]=$hostname [r]=$kernel [v]='#1 SMP' [m]=$machine [p]=$machine
  [i]=$machine [o]=GNU/Linux)
asked=
for argument; do
  case $argument in
    --machine) asked+=m ;;
    --kernel-name) asked+=s ;;
    --kernel-release) asked+=r ;;
    --nodename) asked+=n ;;
    -a | --all) asked+=snrvmpio ;;
    -*) asked+=${argument#-} ;;
  esac
done
words=()
for letter in s n r v m p i o; do
  if [[ ${asked:-s} == *$letter* ]]; then words+=("${parts[$letter]}"); fi
done
echo "${words[*]}"
"""

_HOSTNAME = r"""#!/bin/bash
case ${1-} in
  -I | --all-ip-addresses) echo 10.0.0.10 ;;
  *) cat "${FLEET_ROOT:?}/etc/hostname" ;;
esac
"""

_NPROC = r"""#!/bin/bash
. "${FLEET_ROOT:?}/run/sandbox/machine"
echo "$cpus"
"""

_DATE = r"""#!/bin/bash
# The sandbox's time plus the host's offset, unless a moment is given.
for argument; do
  case $argument in -d* | --date* | -r* | --reference* | -s* | --set*) exec REAL_DATE "$@" ;; esac
done
now=$(sandbox-clock) || exit
exec REAL_DATE -d "@$now" "$@"
"""

_SHELL_PROGRAMS = {
    "sudo": _SUDO,
    "id": _ID,
    "uname": _UNAME,
    "hostname": _HOSTNAME,
    "nproc": _NPROC,
}


#: What a script may look for below /usr/bin of a host; the rest is only on its PATH.
IN_USR_BIN = (*SERVED, *_SHELL_PROGRAMS, "date")


def build(folder: Path) -> None:
    """Lay the shared folder down, anew each time the sandbox starts."""
    folder.mkdir(parents=True, exist_ok=True)
    _program(folder / CALL, _CALL_SCRIPT)
    for name in SERVED:
        _link(folder / name, folder / CALL)
    for name, text in _SHELL_PROGRAMS.items():
        _program(folder / name, text)
    date = shutil.which("date", path=_SEARCH) or "/bin/date"
    _program(folder / "date", _DATE.replace("REAL_DATE", date))
    for name in _OWN.split():
        found = shutil.which(name, path=_SEARCH)
        if found:
            _link(folder / name, Path(found))
    python = shutil.which("python3", path="/usr/bin:/bin") or sys.executable
    _link(folder / "python3", Path(python))


def machine_program(name: str) -> str | None:
    """Return where this machine has a program that a package brings to a host, as ``jq``."""
    return shutil.which(name, path=_SEARCH)


def _program(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.chmod(0o755)
    part.replace(path)


def _link(path: Path, target: Path) -> None:
    if path.is_symlink() and path.readlink() == target:
        return
    path.unlink(missing_ok=True)
    path.symlink_to(target)
