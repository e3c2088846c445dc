#!/bin/bash
# SPDX-License-Identifier: MIT
#
# guide.sh - the C blocks of each chapter in docs/guide, one after the other, are a program
# that builds without a warning, runs and succeeds.
#
#   guide.sh ROOT LIBRARY-FOLDER

. "$(dirname -- "$0")/lib.sh"
root=$1
libdir=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for chapter in "$root"/docs/guide/*.md; do
	name=$(basename "$chapter" .md)
	awk '/^```c$/ { inside = 1; next } /^```/ { inside = 0 } inside' "$chapter" >"$work/$name.c"
	check "$name has a program" test -s "$work/$name.c"
	for cc in gcc clang; do
		have $cc || { skip "$name, $cc" "no $cc"; continue; }
		check "$name builds with $cc" $cc -std=gnu11 -Wall -Wextra -Werror \
			-I"$root/include" "$work/$name.c" -o "$work/$name" -L"$libdir" -lweft
	done
	check "$name runs" env LD_LIBRARY_PATH="$libdir" timeout 20 "$work/$name"
done
finish
