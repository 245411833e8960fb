#!/bin/sh
# Installs what edgecomp's make targets need and is missing: Debian packages, .venv, Python packages.
set -eu
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}

packages=""
need() { # program, Debian package
    command -v "$1" >/dev/null 2>&1 || packages="$packages $2"
}
need gcc gcc
need clang clang
need cppcheck cppcheck
need arm-none-eabi-gcc gcc-arm-none-eabi
need qemu-system-arm qemu-system-arm
need stm32flash stm32flash # a second host for the resident loader's tests
if ! command -v arm-none-eabi-gcc >/dev/null 2>&1 ||
    [ "$(arm-none-eabi-gcc -print-file-name=libc.a)" = libc.a ]; then
    packages="$packages libnewlib-arm-none-eabi"
fi
"$PYTHON" -c 'import venv, ensurepip' 2>/dev/null || packages="$packages python3-venv"

install() { # Debian packages
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "please install: $*" >&2
        exit 1
    fi
    sudo=""
    [ "$(id -u)" = 0 ] || sudo=sudo
    echo "installing: $*"
    $sudo apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "$@"
}

# shellcheck disable=SC2086 # a list of packages
[ -z "$packages" ] || install $packages
# The sanitizers of clang are a package of their own, whose name has clang's version.
if ! echo 'int main(void) { return 0; }' |
    clang -fsanitize=address,undefined -x c - -o /dev/null 2>/dev/null; then
    install "libclang-rt-$(clang -dumpversion | cut -d. -f1)-dev"
fi

[ -x .venv/bin/python ] || "$PYTHON" -m venv .venv
# torch first and by its exact version: the CPU build, where the package source offers one.
.venv/bin/python -m pip install --quiet "torch==2.13.0"
.venv/bin/python -m pip install --quiet -e '.[dev]'
