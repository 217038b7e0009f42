# Installs what a command needs and finds what is there already; sourced by ./demo and ./test.
# Promises: nothing is installed twice, apt is not called when every package is there, nothing is asked.
# shellcheck shell=bash

# Some ways to start a job leave it out.
export HOME="${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}"

say() {
    printf '\n== %s\n' "$*" >&2
}

stop() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# Runs a command as root: directly, or by sudo.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        stop "packages are missing; run as root, or install sudo, or run yourself: $*"
    fi
}

# Installs those Debian packages of the arguments that are not there.
need_packages() {
    local package missing=()
    for package in "$@"; do
        # The state counts, not the return code: a package that was removed is still known.
        if ! dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed; then
            missing+=("$package")
        fi
    done
    if [ "${#missing[@]}" -eq 0 ]; then
        return
    fi
    command -v apt-get >/dev/null || stop "no apt-get here; install these yourself: ${missing[*]}"
    say "installing ${missing[*]}"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
}

# QEMU of this major version or newer: older ones lose what a guest writes while it is moved by interpretation (I-35).
# Debian 12 has it in its suite of backports, from the same mirror as the rest.
need_qemu() {
    local oldest=$1 have uri
    have=$(qemu-system-x86_64 --version 2>/dev/null | sed -n 's/^QEMU emulator version \([0-9]*\).*/\1/p')
    if [ -n "$have" ] && [ "$have" -ge "$oldest" ]; then
        return
    fi
    command -v apt-get >/dev/null || stop "QEMU $oldest or newer is needed; install it yourself"
    say "installing QEMU $oldest or newer from backports"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q
    if [ -z "$(apt-get indextargets --format '$(CODENAME)' 'Suite: bookworm-backports' 2>/dev/null)" ] \
        && ! apt-cache policy | grep -q bookworm-backports; then
        uri=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' | awk '$2 == "bookworm" { print $1; exit }')
        [ -n "$uri" ] || stop "QEMU $oldest or newer is needed, and this is no Debian 12 with its suite of backports"
        printf 'Types: deb\nURIs: %s\nSuites: bookworm-backports\nComponents: main\nSigned-By: %s\n' \
            "$uri" /usr/share/keyrings/debian-archive-keyring.gpg \
            | as_root tee /etc/apt/sources.list.d/bookworm-backports.sources >/dev/null
        as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q
    fi
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends -t bookworm-backports qemu-system-x86 qemu-utils
}

# Fetches apt's lists when they do not know this package: it is downloaded later, not installed.
need_package_lists() {
    if [ -z "$(apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: //p' | grep -vx '(none)')" ]; then
        as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q
    fi
}

# The oldest compiler that the workspace allows.
oldest_rust() {
    sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml
}

# Whether this cargo and its compiler are new enough.
cargo_is_good() {
    local have oldest
    command -v cargo >/dev/null && command -v rustc >/dev/null || return 1
    have=$(rustc --version 2>/dev/null | cut -d' ' -f2) || return 1
    oldest=$(oldest_rust)
    [ "$(printf '%s\n%s\n' "$oldest" "$have" | sort --version-sort | head -n 1)" = "$oldest" ]
}

# Finds cargo, or installs the Rust toolchain for this user with its own installer. Debian 12 has only an older one.
need_cargo() {
    local bin="${CARGO_HOME:-$HOME/.cargo}/bin"
    if [ -d "$bin" ] && ! cargo_is_good; then
        export PATH="$bin:$PATH"
    fi
    if cargo_is_good; then
        return
    fi
    if command -v rustup >/dev/null; then
        say "bringing the Rust toolchain up to date: $(oldest_rust) or newer is needed"
        rustup toolchain install stable --profile minimal
        rustup default stable
    else
        need_packages ca-certificates curl
        say "installing the Rust toolchain for this user"
        curl --proto '=https' --tlsv1.2 --fail --silent --show-error https://sh.rustup.rs \
            | sh -s -- -y --profile minimal --default-toolchain stable --no-modify-path \
            || stop "the Rust toolchain cannot be fetched; install Rust $(oldest_rust) or newer yourself, then try again"
        export PATH="$bin:$PATH"
    fi
    hash -r
    cargo_is_good || stop "cargo is still older than $(oldest_rust): $(command -v cargo || echo none)"
}

# Components that lint and format; distributions and minimal toolchains lack them.
need_lints() {
    if cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1; then
        return
    fi
    command -v rustup >/dev/null || stop "cargo fmt or cargo clippy is missing, and there is no rustup to add it"
    rustup component add rustfmt clippy
}

# An S3 server that checks signatures (moto), in a Python environment of its own; about ten seconds. Names it in
# LIFEBOAT_S3_SERVER. Debian 12 has no S3 server.
need_s3_server() {
    local dir=$1
    if [ ! -x "$dir/bin/moto_server" ]; then
        say "installing an S3 server for the tests into $dir"
        /usr/bin/python3 -m venv --clear "$dir" \
            && "$dir/bin/pip" install --quiet --disable-pip-version-check 'moto[s3]==5.2.5' 'flask>=3,<4' 'flask-cors>=6,<7' \
            || stop "the S3 server cannot be installed; its tests need: pip install 'moto[s3]' flask flask-cors"
    fi
    LIFEBOAT_S3_SERVER=$(cd -- "$dir" && pwd)/bin/moto_server
    export LIFEBOAT_S3_SERVER
}
