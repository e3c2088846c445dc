#!/bin/bash
# SPDX-License-Identifier: MIT
#
# headers.sh - each public header compiles alone, twice included, as C and as C++.
#
#   headers.sh INCLUDE-FOLDER

. "$(dirname -- "$0")/lib.sh"
cd -- "$1" || exit 1

warnings="-Wall -Wextra -Wpedantic -Wundef -Wshadow -Werror"
headers=$(find . -name '*.h' | sed 's,^\./,,' | sort)

# compile LANGUAGE HEADER COMPILER...
compile() {
	local language=$1 header=$2
	shift 2
	printf '#include <%s>\n#include <%s>\n' "$header" "$header" |
		"$@" $warnings -I. -x "$language" -fsyntax-only -
}

for header in $headers; do
	for cc in gcc clang; do
		have $cc || { skip "$header, $cc" "no $cc"; continue; }
		check "$header: $cc gnu11" compile c "$header" $cc -std=gnu11
		check "$header: $cc c11" compile c "$header" $cc -std=c11 -D_GNU_SOURCE
	done
	for cxx in g++ clang++; do
		have $cxx || { skip "$header, $cxx" "no $cxx"; continue; }
		check "$header: $cxx c++17" compile c++ "$header" $cxx -std=c++17
	done
done
check "there are headers" test -n "$headers"
finish
