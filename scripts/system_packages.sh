#!/usr/bin/env bash
# What the tests use beside Python packages, from Debian's own: Chromium with its driver for the page of `keras-caffe view`,
# Graphviz for drawings. `.ci/run` runs this, and only for root is anything installed. For what is not, a line says why; the
# tests that need it skip, with their reason.
set -uo pipefail

has() { local one; for one in "$@"; do command -v "$one" > /dev/null && return; done; false; }

packages=()
has dot || packages+=(graphviz)
has chromium chromium-browser google-chrome || packages+=(chromium)
has chromedriver || packages+=(chromium-driver)
[ ${#packages[@]} != 0 ] || exit 0

without() { echo "Not installed: $1 ($(tail -n 1 <<< "$2")). The tests that need it skip."; }
refused=
[ "$(id -u)" = 0 ] || refused="only root may"
has apt-get || refused="no apt-get"
if [ -n "$refused" ]; then without "${packages[*]}" "$refused"; exit 0; fi

apt=(apt-get --quiet=2 -o Acquire::Retries=0 -o Acquire::http::Timeout=15 -o APT::Update::Error-Mode=any)
apt+=(-o DPkg::Lock::Timeout=60)
export DEBIAN_FRONTEND=noninteractive
limited() { timeout 300 "${apt[@]}" "$@" < /dev/null 2>&1; }
# Without a limit, once all is there: dpkg does not like to be stopped.
unpacked() { "${apt[@]}" --no-download "$@" < /dev/null 2>&1; }
echo "Installing ${packages[*]} ..."
if ! said=$(limited update); then without "${packages[*]}" "$said"; exit 0; fi
for package in "${packages[@]}"; do
  chosen=(install --yes --no-install-recommends "$package")
  said=$(limited "${chosen[@]}" --download-only && unpacked "${chosen[@]}") || without "$package" "$said"
done
