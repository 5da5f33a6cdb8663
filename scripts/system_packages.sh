#!/usr/bin/env bash
# What the tests use beside Python packages, from Debian's or Ubuntu's own: Chromium with its driver for the page of
# `keras-caffe view`, Graphviz for drawings. CI runs this; elsewhere nobody's system is changed unasked. Where it cannot be
# installed, one line says so, and the tests that need it skip, with their reason.
set -uo pipefail

has() { local one; for one in "$@"; do command -v "$one" > /dev/null && return; done; false; }

packages=()
has dot || packages+=(graphviz)
has chromium chromium-browser google-chrome || packages+=(chromium)
has chromedriver || packages+=(chromium-driver)
[ ${#packages[@]} != 0 ] || exit 0

apt() { DEBIAN_FRONTEND=noninteractive timeout "${APT_SECONDS:-300}" ${sudo:-} apt-get --quiet=2 "$@" < /dev/null; }
[ "$(id -u)" = 0 ] || sudo="sudo --non-interactive --preserve-env=DEBIAN_FRONTEND"
echo "Installing ${packages[*]} ..."
said=$({ has apt-get || { echo "no apt-get"; false; }; } 2>&1 &&
  { apt update && apt install --yes --no-install-recommends "${packages[@]}"; } 2>&1) ||
  echo "Not installed: ${packages[*]} ($(tail -n 1 <<< "$said")). The tests that need them skip."
