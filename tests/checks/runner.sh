#!/bin/bash
# SPDX-License-Identifier: MIT
#
# runner.sh - do the test runners notice? Asks each build of runner_cases.c for each of
# its cases, and compares the answer with what the case deserves.
#
#   runner.sh COUNT CRITERION-PROGRAM [ADDRESS-PROGRAM] [THREAD-PROGRAM]

. "$(dirname -- "$0")/lib.sh"

count=$1
criterion=$2
address=${3:-}
thread=${4:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Newer kernels randomise more of the address space than these sanitizers expect.
fixed=()
if have setarch && setarch -R true 2>/dev/null; then
	fixed=(setarch -R)
fi

# Criterion takes the pattern by --filter, the stand-in as it is.
notices() {
	! "$@" && echo "$*: expected to fail" && return 0
	echo "$*: passed"
	return 1
}

says() {
	local text=$1
	shift
	"$@" 2>&1 | grep -qF -- "$text"
}

bad="assertion expectation crash missing_signal exit_code hang assertion_on_another_thread"

check "criterion: good cases pass" "$criterion" --filter 'good/*'
for case in $bad; do
	check "criterion: notices $case" notices "$criterion" --filter "bad/$case"
done

for build in address thread; do
	program=${!build}
	if [ -z "$program" ]; then
		skip "stand-in, $build" "this compiler has no -fsanitize=$build"
		continue
	fi
	run=("${fixed[@]}" "$program")
	check "stand-in, $build: good cases pass" "${run[@]}" good/
	check "stand-in, $build: counts" says "4 passed, 0 failed, 0 skipped" "${run[@]}" good/
	check "stand-in, $build: a skip is no pass" \
		says "0 passed, 0 failed, 1 skipped" "${run[@]}" skipped/
	for case in $bad; do
		check "stand-in, $build: notices $case" notices "${run[@]}" "bad/$case"
	done
done
[ -z "$address" ] || check "stand-in: notices a leak" notices "${fixed[@]}" "$address" leak/
[ -z "$thread" ] || check "stand-in: notices a race" notices "${fixed[@]}" "$thread" race/

# The sum that tests/run prints: a runner that died without a closing line is a failure.
printf '%s\n' \
	'{"name": "a", "result": "OK", "stdout": "3 passed, 0 failed, 1 skipped\n"}' \
	'{"name": "b", "result": "FAIL", "stderr": "Tested: 5 | Passing: 3 | Failing: 2 | Crashing: 1\n"}' \
	'{"name": "c", "result": "TIMEOUT", "stdout": ""}' \
	'{"name": "d", "result": "OK", "stdout": "no counts, one program\n"}' >"$work/log.json"
check "count: adds up every kind of closing line" \
	says "7 passed, 3 failed" python3 "$count" "$work/log.json"
check "count: fails when a test failed" notices python3 "$count" "$work/log.json"
: >"$work/empty.json"
check "count: fails when nothing ran" notices python3 "$count" "$work/empty.json"
check "count: fails on a log that is missing" notices python3 "$count" "$work/none.json"

finish
