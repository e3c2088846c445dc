#!/bin/bash
# SPDX-License-Identifier: MIT
#
# install.sh - a stranger's view: install to a prefix, then build a program against it
# with what pkg-config says, shared and static, and run it.
#
#   install.sh BUILD-FOLDER MESON

. "$(dirname -- "$0")/lib.sh"
build=$1
meson=$2
here=$(cd -- "$(dirname -- "$0")" && pwd)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

check "meson install" "$meson" install -C "$build" --no-rebuild --quiet --destdir "$root"

pc=$(find "$root" -name weft.pc)
check "weft.pc is installed once" test "$(printf '%s\n' "$pc" | grep -c .)" = 1
prefix=$root$(sed -n 's/^prefix=//p' "$pc")
export PKG_CONFIG_PATH=${pc%/*}
# The files were moved to $root: say so to pkg-config, as a relocated package would.
config() {
	pkg-config --define-variable=prefix="$prefix" "$@" weft
}
libdir=$(config --variable=libdir)

check "libweft.so is installed" test -e "$libdir/libweft.so"
check "libweft.a is installed" test -e "$libdir/libweft.a"
check "libweft.a carries its objects" sh -c '! head -c 7 "$1" | grep -q thin' sh "$libdir/libweft.a"
check "every header is installed" diff -r -x meson.build \
	"$here/../../include" "$prefix/include"
check "the version is the same everywhere" sh -c \
	'test "$1" = "$(sed -n "s/.*version: .\([0-9.]*\).,/\1/p" "$2" | head -n 1)"' sh \
	"$(config --modversion)" "$here/../../meson.build"

build_with() {
	local program=$1
	shift
	cc -std=gnu11 -Wall -Wextra -Werror -o "$root/$program" "$here/install_user.c" "$@"
}

check "a program builds, shared" build_with shared $(config --cflags --libs)
check "it runs" env LD_LIBRARY_PATH="$libdir" "$root/shared"
# -Bstatic for weft alone: the rest of the system stays as it is.
static=$(config --static --cflags --libs | sed 's/-lweft/-l:libweft.a/')
check "a program builds, static" build_with static $static
check "it runs without the shared library" "$root/static"
check "it does not ask for it" sh -c 'test -x "$1" && ! readelf -d "$1" | grep -q libweft' sh "$root/static"
finish
