// SPDX-License-Identifier: GPL-2.0-only
/* Back end of io-pgtable-dart.c: dart. Compiled with it. */
#include KSRC_SOURCE

#include "io-pgtable.h"

/* The root's level: older code has two levels, always. */
#ifdef KSRC_DART_LEVELS
#define TOP_LEVEL(cfg) ((cfg)->n_levels - 2)
#else
#define TOP_LEVEL(cfg) 1
#endif

static unsigned int dart_roots(struct io_pgtable *iop, struct ptkit_root *roots)
{
	typeof(&iop->cfg.apple_dart_cfg) cfg = &iop->cfg.apple_dart_cfg;

	for (u32 root = 0; root < cfg->n_ttbrs; root++)
		roots[root] = (struct ptkit_root){ .physical = cfg->ttbr[root], .level = TOP_LEVEL(cfg) };
	return cfg->n_ttbrs;
}

static int create(struct ksrc_config *config, struct ksrc_table *table)
{
	struct ksrc_io *io = container_of(table, struct ksrc_io, table);
	struct io_pgtable_cfg cfg = { };
	u64 version = ksrc_config_number(config, "version", 1);

	ksrc_io_config(config, &cfg, 32, 36, ksrc_config_number(config, "granule", SZ_16K));
	if (version != 1 && version != 2)
		return ksrc_refuse(config, -EINVAL, "version is 1 or 2");
	io->roots = dart_roots;
	return ksrc_io_create(config, io, version == 1 ? APPLE_DART : APPLE_DART2, &io_pgtable_apple_dart_init_fns, &cfg);
}

static const char *const list[] = {
	"dart", "dart:granule=4k", "dart:granule=4k,ias=33", "dart:version=2,ias=36,oas=42", NULL,
};

KSRC_IO_BACKEND(dart, "dart", struct ksrc_io, create, list);

const struct ksrc_backend *const ksrc_backends[] = { &dart, NULL };
