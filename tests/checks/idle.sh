#!/bin/bash
# SPDX-License-Identifier: MIT
#
# idle.sh - a runtime whose one task waits for input does nothing: after a second, every thread
# has used as much of a processor as before, and has gone to sleep as often. A system call would
# show in the one or the other.
#
#   idle.sh PROGRAM    tests/checks/idle_program.c, built

. "$(dirname -- "$0")/lib.sh"

# What each thread has used so far: name, switches of both kinds, nanoseconds on a processor.
usage() {
	local task
	for task in /proc/"$pid"/task/*; do
		echo "$(cat "$task/comm")" \
			"$(awk '/ctxt_switches/ { printf "%s %s ", $1, $2 }' "$task/status")" \
			"ran $(cut -d ' ' -f 1 "$task/schedstat")"
	done
}

has_two_workers() {
	[ "$(printf '%s\n' "$before" | grep -c '^weft-[0-9]')" -eq 2 ]
}

does_nothing() {
	diff <(printf '%s\n' "$before") <(printf '%s\n' "$after")
}

coproc program { exec "$1"; }
pid=$program_PID
trap 'kill "$pid" 2>/dev/null' EXIT
read -r -t 20 line <&"${program[0]}"
check "its task waits" [ "${line:-}" = waiting ]
sleep 0.1
before=$(usage)
sleep 1
after=$(usage)
check "it has two workers" has_two_workers
check "it does nothing for a second" does_nothing
exec {program[1]}>&-
wait "$pid"
check "it ends well" [ $? -eq 0 ]
trap - EXIT
finish
