// SPDX-License-Identifier: GPL-2.0-only
/* The back ends of a generic_pt library: as the kernel builds the format, and with every feature permitted. */
#include "ksrc.h"

extern const struct ksrc_backend ksrc_linux_backend, ksrc_permissive_backend;

const struct ksrc_backend *const ksrc_backends[] = { &ksrc_linux_backend, &ksrc_permissive_backend, NULL };
