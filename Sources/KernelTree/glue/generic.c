// SPDX-License-Identifier: GPL-2.0-only
/*
 * A back end for one format of drivers/iommu/generic_pt, compiled together with that format's source, as the kernel's
 * own tests of it are. KSRC_SOURCE is the tree's iommu_X.c, or for KSRC_PERMISSIVE a file that includes the same
 * template with every feature permitted and none forced. "format.h" is generated from the tree:
 *   KSRC_FORMAT_NAME, KSRC_FEATURES (name and number of each feature), KSRC_FIELDS (further members of the
 *   configuration), KSRC_LEVEL_FIELD (the one that holds the top level, where there is one).
 */
#include KSRC_SOURCE

#include <stdio.h>

#include "ksrc.h"
#include "format.h"

struct generic_table {
	struct ksrc_table table;
	struct pt_iommu_table pt;
	struct iommu_domain_ops domain_ops;
	struct device device;
	spinlock_t top_lock;
};

static struct generic_table *to_generic(struct ksrc_table *table)
{
	return container_of(table, struct generic_table, table);
}

static void change_top(struct pt_iommu *iommu, phys_addr_t physical, unsigned int level)
{
	const struct ptkit_memory *host = ksrc_current->host;

	(void)iommu;
	host->change_top(host->context, physical, level);
}

static spinlock_t *top_lock(struct pt_iommu *iommu)
{
	return &container_of(iommu, struct generic_table, pt.iommu)->top_lock;
}

static const struct pt_iommu_driver_ops driver_ops = {
	.change_top = change_top,
	.get_top_lock = top_lock,
};

/* Where it is timed, one call through a pointer, as in the kernel, where ours here is the core's to the driver. */
#ifdef KSRC_BENCH
#define CALL(iommu, function) NS(function)
#else
#define CALL(iommu, function) (iommu)->ops->function
#endif

static int generic_map_range(struct ksrc_table *table, u64 iova, u64 pa, u64 length, u32 protection, size_t *mapped)
{
	struct pt_iommu *iommu = &to_generic(table)->pt.iommu;

	return CALL(iommu, map_range)(iommu, iova, pa, length, protection, GFP_KERNEL, mapped);
}

static size_t generic_unmap_range(struct ksrc_table *table, u64 iova, u64 length, struct iommu_iotlb_gather *gather)
{
	struct pt_iommu *iommu = &to_generic(table)->pt.iommu;

	return CALL(iommu, unmap_range)(iommu, iova, length, gather);
}

static phys_addr_t generic_iova_to_phys(struct ksrc_table *table, u64 iova)
{
	return DOMAIN_NS(iova_to_phys)(table->domain, iova);
}

static int generic_set_dirty(struct ksrc_table *table, u64 iova)
{
	struct pt_iommu *iommu = &to_generic(table)->pt.iommu;

	return iommu->ops->set_dirty ? iommu->ops->set_dirty(iommu, iova) : -EOPNOTSUPP;
}

static int generic_dirty(struct ksrc_table *table, u64 iova, u64 length, unsigned long flags,
	struct iommu_dirty_bitmap *dirty)
{
	return DOMAIN_NS(read_and_clear_dirty)(table->domain, iova, length, flags, dirty);
}

static unsigned int generic_roots(struct ksrc_table *table, struct ptkit_root *roots)
{
	struct pt_range top = pt_top_range(common_from_iommu(&to_generic(table)->pt.iommu));

	roots[0] = (struct ptkit_root){ .physical = virt_to_phys(top.top_table), .level = top.top_level };
	return 1;
}

static void generic_destroy(struct ksrc_table *table) { pt_iommu_deinit(&to_generic(table)->pt.iommu); }

static const struct ksrc_ops generic_ops = {
	.map_range = generic_map_range,
	.unmap_range = generic_unmap_range,
	.iova_to_phys = generic_iova_to_phys,
	.set_dirty = generic_set_dirty,
	.dirty = generic_dirty,
	.roots = generic_roots,
	.destroy = generic_destroy,
};

#define KSRC_FEATURE(name, number) { name, BIT(number) },
static const struct ksrc_word features[] = { KSRC_FEATURES { NULL, 0 } };
#undef KSRC_FEATURE

/* Without `features`: what the build forces, and the usual ones as far as it supports them. */
static u64 usual_features(void)
{
	return PT_FORCE_ENABLED_FEATURES | (PT_SUPPORTED_FEATURES & (BIT(PT_FEAT_FLUSH_RANGE) | BIT(PT_FEAT_SIGN_EXTEND)));
}

static int read_config(struct ksrc_config *config, struct ksrc_table *table, struct pt_iommu_table_cfg *cfg)
{
	u64 bit;

	cfg->common.hw_max_vasz_lg2 = ksrc_config_number(config, "va", PT_MAX_VA_ADDRESS_LG2);
	cfg->common.hw_max_oasz_lg2 = ksrc_config_number(config, "oa", PT_MAX_OUTPUT_ADDRESS_LG2);
	cfg->common.features = ksrc_config_words(config, "features", features, usual_features());
#ifdef KSRC_LEVEL_FIELD
	cfg->KSRC_LEVEL_FIELD = ksrc_config_number(config, "level", PT_MAX_TOP_LEVEL);
#endif
#define KSRC_FIELD(member) cfg->member = ksrc_config_number(config, #member, 0);
	KSRC_FIELDS
#undef KSRC_FIELD
	bit = ksrc_config_number(config, "cbit", 0);
	if (bit > 63)
		return ksrc_refuse(config, -EINVAL, "cbit is the number of a bit, 0 for none");
	table->memory.sme_mask = bit ? BIT_ULL(bit) : 0;
	return ksrc_config_check(config);
}

static int generic_create(struct ksrc_config *config, struct ksrc_table *table)
{
	struct generic_table *generic = to_generic(table);
	struct pt_iommu_table_cfg cfg = { };
	int result = read_config(config, table, &cfg);

	if (result)
		return result;
	/* A build with debugging accepts what it then forces all the same. */
	if ((cfg.common.features & PT_FORCE_ENABLED_FEATURES) != PT_FORCE_ENABLED_FEATURES)
		return ksrc_refuse(config, -EOPNOTSUPP, "Linux builds %s with more features forced on", config->format);
	generic->pt.iommu.nid = NUMA_NO_NODE;
	generic->pt.iommu.driver_ops = &driver_ops;
	generic->pt.iommu.iommu_device = &generic->device;
	generic->domain_ops.iotlb_sync = ksrc_iotlb_sync;
	result = pt_iommu_init(&generic->pt, &cfg, GFP_KERNEL);
	if (result)
		return ksrc_refuse(config, result, "pt_iommu_init() refused it");
	generic->pt.iommu.domain.ops = &generic->domain_ops;
	table->ops = &generic_ops;
	table->domain = &generic->pt.iommu.domain;
	table->iova_bits = common_from_iommu(&generic->pt.iommu)->max_vasz_lg2;
	table->output_bits = common_from_iommu(&generic->pt.iommu)->max_oasz_lg2;
	return 0;
}

#ifdef KSRC_PERMISSIVE
#define KSRC_BACKEND ksrc_permissive_backend
#else
#define KSRC_BACKEND ksrc_linux_backend
#endif

/* The usual configuration, then one for each further feature: for formats that the kit has no configurations of. */
#define MAX_CONFIGURATIONS 16
static char texts[MAX_CONFIGURATIONS][256];
static const char *configurations[MAX_CONFIGURATIONS + 1];

static void describe(char *text, size_t bytes, u64 wanted)
{
	int length = snprintf(text, bytes, KSRC_FORMAT_NAME ":va=%d,oa=%d", (int)PT_MAX_VA_ADDRESS_LG2,
		(int)PT_MAX_OUTPUT_ADDRESS_LG2);
	const char *separator = ",features=";

#ifdef KSRC_LEVEL_FIELD
	length += snprintf(text + length, bytes - length, ",level=%d", (int)PT_MAX_TOP_LEVEL);
#endif
	for (const struct ksrc_word *word = features; word->name; word++) {
		if (!(wanted & word->bit))
			continue;
		length += snprintf(text + length, bytes - length, "%s%s", separator, word->name);
		separator = "+";
	}
	if (!wanted)
		snprintf(text + length, bytes - length, ",features=none");
}

__attribute__((constructor)) static void list_configurations(void)
{
	int count = 0;

	describe(texts[count], sizeof(texts[0]), usual_features());
	configurations[count] = texts[count];
	for (const struct ksrc_word *word = features; word->name && count < MAX_CONFIGURATIONS - 1; word++) {
		if (!(PT_SUPPORTED_FEATURES & word->bit & ~usual_features()) || word->bit == BIT(PT_FEAT_FULL_VA))
			continue;
		describe(texts[++count], sizeof(texts[0]), usual_features() | word->bit);
		configurations[count] = texts[count];
	}
}

const struct ksrc_backend KSRC_BACKEND = {
	.format = {
		.size = sizeof(struct ptkit_format),
		.name = KSRC_FORMAT_NAME,
		.behaviour = "generic",
		.era = KSRC_ERA,
		.configurations = configurations,
	},
#ifdef KSRC_PERMISSIVE
	.fallback = true,
#endif
	.table_bytes = sizeof(struct generic_table),
	.create = generic_create,
};
