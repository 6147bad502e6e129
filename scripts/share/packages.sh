# shellcheck shell=bash disable=SC2034
# packages.sh -- which Debian packages the scripts need, and how they are installed.
# Sourced by scripts/try and scripts/check; uses their say and fail.

PACKAGES_BUILD='gcc libc6-dev cmake ninja-build pkg-config scdoc libfuse3-dev libssl-dev libetpan-dev
    libsasl2-dev libsqlite3-dev libgmime-3.0-dev libconfuse-dev libjansson-dev zlib1g-dev
    uthash-dev'
PACKAGES_RUN='fuse3 libsasl2-modules'
PACKAGES_SAMPLE='dovecot-imapd openssl python3'
PACKAGES_TEST="libcmocka-dev clang libclang-rt-dev llvm git binutils python3
    $(cat "$(dirname "${BASH_SOURCE[0]}")/../../tests/mount/packages.txt")"
# Its judgement differs between versions; Debian 12 is the only one that has ours.
if grep -q '^VERSION_ID="12"' /etc/os-release; then
    PACKAGES_TEST+=' clang-format-14'
fi

# Services that some of these packages start and enable.  We want the programs only.
SERVICES='dovecot cyrus-imapd saslauthd exim4'

POLICY=/usr/sbin/policy-rc.d

is_installed() { # PACKAGE
    dpkg-query -W -f '${db:Status-Abbrev}\n' "$1" 2>/dev/null | grep -q '^ii'
}

missing_packages() { # PACKAGE...
    local package
    for package in "$@"; do
        is_installed "$package" || echo "$package"
    done
}

has_service() { # NAME
    [ -e "/etc/init.d/$1" ] || [ -e "/lib/systemd/system/$1.service" ]
}

# Neither now nor at the next boot: a mail server that somebody only wanted to try must not
# listen on the network.  A service that was there before is left as it is.
disable_service() { # NAME
    if [ -d /run/systemd/system ]; then
        "${AS_ROOT[@]}" systemctl disable --quiet --now "$1" 2>/dev/null || true
    else
        "${AS_ROOT[@]}" update-rc.d "$1" disable >/dev/null 2>&1 || true
    fi
}

become_root() {
    if [ "$(id -u)" = 0 ]; then
        AS_ROOT=()
    elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
        AS_ROOT=(sudo)
    else
        fail "packages are missing and can be installed only by root or with sudo:
    apt-get install --no-install-recommends $*"
    fi
}

# A policy-rc.d keeps the package scripts from starting services.  One that is already
# there is somebody's decision and stays.
forbid_services() {
    policy_made=no
    if [ ! -e $POLICY ]; then
        printf '#!/bin/sh\nexit 101\n' | "${AS_ROOT[@]}" tee $POLICY >/dev/null
        "${AS_ROOT[@]}" chmod 755 $POLICY
        policy_made=yes
    fi
}

allow_services() {
    if [ "$policy_made" = yes ]; then
        "${AS_ROOT[@]}" rm -f $POLICY
        policy_made=no
    fi
}

apt_get() { # ARGS...
    "${AS_ROOT[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q \
        -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@" </dev/null
}

# apt-get's output goes to LOG and is shown only when it fails.
install_packages() { # LOG PACKAGE...
    local log=$1 service status=0
    local -a missing present=()
    shift
    command -v apt-get >/dev/null || fail "no apt-get: this needs Debian 12 or newer"
    mapfile -t missing < <(missing_packages "$@")
    if [ ${#missing[@]} = 0 ]; then
        return 0
    fi
    become_root "${missing[@]}"
    say "Installing ${#missing[@]} packages: ${missing[*]}"
    for service in $SERVICES; do
        ! has_service "$service" || present+=("$service")
    done
    forbid_services
    { apt_get update && apt_get install -y --no-install-recommends "${missing[@]}"; } \
        >"$log" 2>&1 || status=$?
    allow_services
    for service in $SERVICES; do
        if has_service "$service" && [[ " ${present[*]-} " != *" $service "* ]]; then
            disable_service "$service"
        fi
    done
    if [ $status != 0 ]; then
        tail -n 30 "$log" >&2
        fail "apt-get failed, see above"
    fi
}
