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

program=$root/tests/checks/switch_program.c
flags=(-D_GNU_SOURCE -std=gnu11 -O2 -g -Wall -Wextra -Werror -I"$root/lib" -I"$root/include")

if [ "$(uname -m)" = x86_64 ]; then
	check "the switch program builds for this machine" \
		gcc "${flags[@]}" "$program" "$root/lib/sched/switch/x86_64.S" -lm -o "$work/native"
	check "the switch program runs on this machine" timeout 60 "$work/native"
fi
if ! have $cross; then
	skip "aarch64" "no $cross"
	finish
fi
sources=$(find "$root/lib" -name '*aarch64*.S' | sort)
objects=()
check "there is a switch for aarch64" test -n "$sources"
for source in $sources; do
	object=$work/$(basename "$source" .S).o
	check "${source#"$root"/} assembles" $cross "${flags[@]}" -c "$source" -o "$object"
	check "${source#"$root"/} asks for no executable stack" sh -c \
		'readelf -SW "$1" | grep -q note.GNU-stack' sh "$object"
	objects+=("$object")
done
check "the switch program builds for aarch64" \
	$cross "${flags[@]}" "$program" "${objects[@]}" -lm -o "$work/switch"
if [ -n "$emulator" ]; then
	check "the switch program runs on aarch64" \
		timeout 60 "$emulator" -L /usr/aarch64-linux-gnu "$work/switch"
else
	skip "the switch program on aarch64" "no qemu-aarch64"
fi
finish
