/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Included before every file of a kernel tree: what stands in for the kernel's headers. The header names that the tree
 * asks for are listed in `headers`; all they do is to find this file included already.
 *
 * recreated/ behaves as the kernel's does, as far as page tables can tell; stubbed/ only lets declarations compile.
 */
#ifndef KSRC_PRELUDE_H
#define KSRC_PRELUDE_H

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "recreated/config.h"
#include "recreated/compiler.h"
#include "recreated/types.h"
#include "recreated/bits.h"
#include "recreated/arithmetic.h"
#include "recreated/warnings.h"
#include "recreated/atomics.h"
#include "recreated/locks.h"
#include "recreated/lists.h"
#include "recreated/memory.h"
#include "recreated/pages.h"
#include "recreated/slab.h"
#include "recreated/dma.h"
#include "stubbed/modules.h"
#include "stubbed/devices.h"

#endif
