# SPDX-License-Identifier: MIT
#
# lib.sh - what the check scripts share: counting, and the closing line tests/run adds up.
# A script sources it, calls check or skip for each thing it looks at, and ends by finish.

set -u
passed=0
failed=0
skipped=0

# check NAME COMMAND...: one thing looked at; its output is shown if the command fails
check() {
	local name=$1 output
	shift
	if output=$("$@" 2>&1); then
		passed=$((passed + 1))
		echo "ok: $name"
	else
		failed=$((failed + 1))
		echo "[FAIL] $name"
		printf '%s\n' "$output" | head -n 40 | sed 's/^/    /'
	fi
}

skip() {
	skipped=$((skipped + 1))
	echo "skipped: $1: $2"
}

finish() {
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" -eq 0 ]
	exit
}

have() {
	command -v "$1" >/dev/null 2>&1
}
