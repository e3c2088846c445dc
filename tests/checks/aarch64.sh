#!/bin/bash
# SPDX-License-Identifier: MIT
#
# aarch64.sh - the other processor: every aarch64 source assembles with a cross compiler,
# and the switch works under qemu's user emulation.
#
#   aarch64.sh ROOT

. "$(dirname -- "$0")/lib.sh"
root=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cross=aarch64-linux-gnu-gcc
emulator=$(command -v qemu-aarch64 || command -v qemu-aarch64-static || true)

if ! have $cross; then
	skip "aarch64" "no $cross"
	finish
fi
sources=$(find "$root/lib" -name '*aarch64*.S' | sort)
check "there is a switch for aarch64" test -n "$sources"
objects=()
for source in $sources; do
	object=$work/$(basename "$source" .S).o
	check "${source#"$root"/} assembles" \
		$cross -D_GNU_SOURCE -I"$root/lib" -I"$root/include" -c "$source" -o "$object"
	check "${source#"$root"/} asks for no executable stack" sh -c \
		'readelf -SW "$1" | grep -q note.GNU-stack' sh "$object"
	objects+=("$object")
done
test=$root/tests/checks/switch_aarch64.c
if [ -e "$test" ]; then
	check "the switch test builds" $cross -D_GNU_SOURCE -std=gnu11 -O2 -g -Wall -Wextra \
		-Werror -I"$root/lib" -I"$root/include" "$test" "${objects[@]}" -o "$work/switch"
	if [ -n "$emulator" ]; then
		check "the switch test runs" timeout 60 "$emulator" -L /usr/aarch64-linux-gnu \
			"$work/switch"
	else
		skip "the switch test" "no qemu-aarch64"
	fi
fi
finish
