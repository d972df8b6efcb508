// SPDX-License-Identifier: GPL-2.0-only
/* Back ends of io-pgtable-arm.c: armv8, arm_lpae32, mali. Compiled with it, for the root's level is its own. */
#include KSRC_SOURCE

#include "io-pgtable.h"

static const struct ksrc_word quirks[] = {
	{ "ns", IO_PGTABLE_QUIRK_ARM_NS },
	{ "ttbr1", IO_PGTABLE_QUIRK_ARM_TTBR1 },
	{ "outer_wbwa", IO_PGTABLE_QUIRK_ARM_OUTER_WBWA },
	{ "hd", IO_PGTABLE_QUIRK_ARM_HD },
#ifdef IO_PGTABLE_QUIRK_ARM_S2FWB
	{ "s2fwb", IO_PGTABLE_QUIRK_ARM_S2FWB },
#endif
#ifdef IO_PGTABLE_QUIRK_NO_WARN
	{ "no_warn", IO_PGTABLE_QUIRK_NO_WARN },
#endif
	{ NULL, 0 },
};

static unsigned int arm_roots(struct io_pgtable *iop, struct ptkit_root *roots)
{
	struct arm_lpae_io_pgtable *data = io_pgtable_to_data(iop);

	roots[0] = (struct ptkit_root){
		.physical = virt_to_phys(data->pgd),
		.level = ARM_LPAE_MAX_LEVELS - 1 - data->start_level,
	};
	return 1;
}

/* The leaf sizes of a granule. */
static u64 granule_sizes(struct ksrc_config *config)
{
	u64 granule = ksrc_config_number(config, "granule", SZ_4K), oas = ksrc_config_number(config, "oas", 48);

	switch (granule) {
	case SZ_16K: return SZ_16K | SZ_32M;
	case SZ_64K: return SZ_64K | SZ_512M | (oas > 48 ? SZ_4T : 0);
	default: return SZ_4K | SZ_2M | SZ_1G;
	}
}

static int create(struct ksrc_config *config, struct ksrc_table *table, bool wide)
{
	struct ksrc_io *io = container_of(table, struct ksrc_io, table);
	u64 stage = ksrc_config_number(config, "stage", 1), bits = wide ? 48 : 32;
	struct io_pgtable_cfg cfg = { .quirks = ksrc_config_words(config, "quirks", quirks, 0) };

	if (ksrc_config_number(config, "contig", 0))
		return ksrc_refuse(config, -EOPNOTSUPP, "io-pgtable has no contiguous leaves");
	ksrc_io_config(config, &cfg, bits, wide ? 48 : 40, wide ? granule_sizes(config) : SZ_4K | SZ_2M | SZ_1G);
	io->roots = arm_roots;
	if (stage == 2)
		return ksrc_io_create(config, io, wide ? ARM_64_LPAE_S2 : ARM_32_LPAE_S2,
			wide ? &io_pgtable_arm_64_lpae_s2_init_fns : &io_pgtable_arm_32_lpae_s2_init_fns, &cfg);
	return ksrc_io_create(config, io, wide ? ARM_64_LPAE_S1 : ARM_32_LPAE_S1,
		wide ? &io_pgtable_arm_64_lpae_s1_init_fns : &io_pgtable_arm_32_lpae_s1_init_fns, &cfg);
}

static int create_armv8(struct ksrc_config *config, struct ksrc_table *table) { return create(config, table, true); }
static int create_lpae32(struct ksrc_config *config, struct ksrc_table *table) { return create(config, table, false); }

static int create_mali(struct ksrc_config *config, struct ksrc_table *table)
{
	struct ksrc_io *io = container_of(table, struct ksrc_io, table);
	struct io_pgtable_cfg cfg = { };

	ksrc_io_config(config, &cfg, 48, 40, SZ_4K | SZ_2M | SZ_1G);
	io->roots = arm_roots;
	return ksrc_io_create(config, io, ARM_MALI_LPAE, &io_pgtable_arm_mali_lpae_init_fns, &cfg);
}

static const char *const armv8_list[] = {
	"armv8", "armv8:granule=16k", "armv8:granule=64k", "armv8:stage=2,ias=40,oas=40", "armv8:quirks=hd",
	"armv8:coherent=0", NULL,
};
static const char *const lpae32_list[] = { "arm_lpae32", "arm_lpae32:stage=2,ias=40", "arm_lpae32:coherent=0", NULL };
static const char *const mali_list[] = { "mali", "mali:ias=33", "mali:coherent=0", NULL };

KSRC_IO_BACKEND(armv8, "armv8", struct ksrc_io, create_armv8, armv8_list);
KSRC_IO_BACKEND(lpae32, "arm_lpae32", struct ksrc_io, create_lpae32, lpae32_list);
KSRC_IO_BACKEND(mali, "mali", struct ksrc_io, create_mali, mali_list);

const struct ksrc_backend *const ksrc_backends[] = { &armv8, &lpae32, &mali, NULL };
