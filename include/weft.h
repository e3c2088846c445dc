/* SPDX-License-Identifier: MIT */
#ifndef WEFT_H
#define WEFT_H

#include <weft/base.h>
#include <weft/runtime.h>
#include <weft/task.h>
#include <weft/cancel.h>
#include <weft/compose.h>
#include <weft/sync.h>
#include <weft/io.h>
#include <weft/observe.h>

#endif /* WEFT_H */
