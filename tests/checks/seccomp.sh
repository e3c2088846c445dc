#!/bin/bash
# SPDX-License-Identifier: MIT
#
# seccomp.sh - where io_uring is forbidden, programs run all the same, by epoll, and say why; those
# that require io_uring say why not.
#
#   seccomp.sh LAUNCHER PROGRAM EXAMPLES CHECK-EXAMPLE
#
# LAUNCHER is seccomp.c, PROGRAM backend_program.c, EXAMPLES the folder of the built examples.

. "$(dirname -- "$0")/lib.sh"
unset WEFT_BACKEND WEFT_URING_WITHOUT
launcher=$1
program=$2
examples=$3
check_example=$4
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

"$launcher" EPERM true
[ $? -ne 77 ] || {
	skip "seccomp" "not to be had here"
	finish
}

disabled=$(cat /proc/sys/kernel/io_uring_disabled 2>/dev/null || echo none)
case $disabled in
1 | 2) forbidden="EPERM, io_uring_disabled=$disabled" ;;
*) forbidden="EPERM, seccomp" ;;
esac

# says TEXT COMMAND...: it succeeds, and its first line is TEXT
says() {
	local text=$1 line
	shift
	line=$("$@" 2>"$folder/reports") || {
		echo "ended with $?: $line"
		cat "$folder/reports"
		return 1
	}
	[ "$line" = "$text" ] || {
		echo "said '$line' rather than '$text'"
		return 1
	}
}

# refuses CODE COMMAND...: it fails at the start with that code
refuses() {
	local code=$1 line
	shift
	line=$("$@" 2>"$folder/reports") && return 1
	[ "$line" = "$code" ] || {
		echo "said '$line' rather than '$code'"
		return 1
	}
}

reports() {
	[ "$(grep -c '^report: ' "$folder/reports")" -eq 1 ] && grep -q "$1" "$folder/reports"
}

check "forbidden: epoll, and why" says "epoll (io_uring_setup: $forbidden)" \
	"$launcher" EPERM "$program"
check "forbidden: a report" reports "$forbidden"
if [ "$disabled" != none ]; then
	check "ENOSYS: epoll, and why" says "epoll (io_uring_setup: ENOSYS, seccomp)" \
		"$launcher" ENOSYS "$program"
fi
check "no memory: epoll, and how much there may be" \
	says "epoll (io_uring_setup: ENOMEM, RLIMIT_MEMLOCK=64 KiB)" \
	bash -c 'ulimit -l 64 && exec "$@"' - "$launcher" ENOMEM "$program"
check "asked for: epoll, and no report" says "epoll (WEFT_BACKEND=epoll)" \
	env WEFT_BACKEND=epoll "$launcher" EPERM "$program"
check "required by the program: the code" refuses EPERM "$launcher" EPERM "$program" require
check "required by the program: a report" reports "WEFT_REQUIRE_URING.*EPERM"
check "required by the environment: the code" refuses ENOSYS \
	env WEFT_BACKEND=io_uring "$launcher" ENOSYS "$program"

for code in EPERM ENOSYS; do
	for example in echo_server:echo http_hello:http file_copy:copy; do
		name=${example%:*}
		printf '#!/bin/sh\nexec %q %s %q "$@"\n' "$launcher" $code "$examples/$name" \
			>"$folder/$name"
		chmod +x "$folder/$name"
		check "$code: the example $name" \
			timeout 60 "$check_example" "$folder/$name" "${example#*:}"
	done
done
finish
