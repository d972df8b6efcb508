// SPDX-License-Identifier: GPL-2.0-only
/* Back end of io-pgtable-arm-v7s.c: armv7s. Compiled with it, for the root is its own. */
#include KSRC_SOURCE

#include "io-pgtable.h"

static const struct ksrc_word quirks[] = {
	{ "ns", IO_PGTABLE_QUIRK_ARM_NS },
	{ "no_perms", IO_PGTABLE_QUIRK_NO_PERMS },
	{ "mtk_ext", IO_PGTABLE_QUIRK_ARM_MTK_EXT },
	{ "mtk_ttbr_ext", IO_PGTABLE_QUIRK_ARM_MTK_TTBR_EXT },
	{ NULL, 0 },
};

static unsigned int v7s_roots(struct io_pgtable *iop, struct ptkit_root *roots)
{
	roots[0] = (struct ptkit_root){ .physical = virt_to_phys(io_pgtable_to_data(iop)->pgd), .level = 1 };
	return 1;
}

static int create(struct ksrc_config *config, struct ksrc_table *table)
{
	struct ksrc_io *io = container_of(table, struct ksrc_io, table);
	struct io_pgtable_cfg cfg = { .quirks = ksrc_config_words(config, "quirks", quirks, 0) };

	ksrc_io_config(config, &cfg, 32, 32, SZ_4K | SZ_64K | SZ_1M | SZ_16M);
	/* The root has 2^(ias - 20) words; the code takes narrower ones and then writes past a table of none. */
	if (cfg.ias <= 20)
		return ksrc_refuse(config, -EINVAL, "ias is more than 20");
	io->roots = v7s_roots;
	return ksrc_io_create(config, io, ARM_V7S, &io_pgtable_arm_v7s_init_fns, &cfg);
}

static const char *const list[] = {
	"armv7s", "armv7s:quirks=ns", "armv7s:coherent=0", "armv7s:ias=34,oas=35,quirks=no_perms+mtk_ext", NULL,
};

KSRC_IO_BACKEND(armv7s, "armv7s", struct ksrc_io, create, list);

const struct ksrc_backend *const ksrc_backends[] = { &armv7s, NULL };
