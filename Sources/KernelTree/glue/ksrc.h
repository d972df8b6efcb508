/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Between ptkit.h and the kernel's code: core.c does what drivers/iommu/iommu.c does for every page table, a back end
 * makes page tables of one format. One library has one back end for each format that its source file serves.
 */
#ifndef KSRC_H
#define KSRC_H

#include <linux/iommu.h>

#include "ptkit.h"

/* A configuration text, cut at its commas. */
#define KSRC_MAX_KEYS 24
struct ksrc_config {
	char text[512];
	const char *format;
	int count;
	struct {
		const char *key, *value;
		bool used;
	} pairs[KSRC_MAX_KEYS];
	bool permissive;
	char *message; /* where a refusal is explained */
	size_t message_bytes;
};

/* One of the words of a key that takes several, and the bit it stands for. */
struct ksrc_word {
	const char *name;
	u64 bit;
};

int ksrc_config_parse(struct ksrc_config *config, const char *text, char *message, size_t message_bytes);
/* A number, a size or a bitmap; `fallback` where the key is left out. */
u64 ksrc_config_number(struct ksrc_config *config, const char *key, u64 fallback);
const char *ksrc_config_text(struct ksrc_config *config, const char *key, const char *fallback);
/* Words joined by '+'; a word that is not known makes the configuration one that is refused. */
u64 ksrc_config_words(struct ksrc_config *config, const char *key, const struct ksrc_word *words, u64 fallback);
/* Keys that may be given and change nothing. */
void ksrc_config_ignore(struct ksrc_config *config, const char *key);
/* 0, or -EINVAL when a key or a value was not understood. */
int ksrc_config_check(struct ksrc_config *config);
int ksrc_refuse(struct ksrc_config *config, int error, const char *format, ...) __printf(3, 4);

struct ksrc_table;

/* What a back end does; called with ksrc_current set. */
struct ksrc_ops {
	/* generic_pt: whole ranges. Null where the code takes pages of one size only. */
	int (*map_range)(struct ksrc_table *table, u64 iova, u64 pa, u64 length, u32 protection, size_t *mapped);
	size_t (*unmap_range)(struct ksrc_table *table, u64 iova, u64 length, struct iommu_iotlb_gather *gather);
	int (*map_pages)(struct ksrc_table *table, u64 iova, u64 pa, size_t size, size_t count, u32 protection,
		size_t *mapped);
	size_t (*unmap_pages)(struct ksrc_table *table, u64 iova, size_t size, size_t count,
		struct iommu_iotlb_gather *gather);
	phys_addr_t (*iova_to_phys)(struct ksrc_table *table, u64 iova);
	int (*set_dirty)(struct ksrc_table *table, u64 iova);
	int (*dirty)(struct ksrc_table *table, u64 iova, u64 length, unsigned long flags,
		struct iommu_dirty_bitmap *dirty);
	unsigned int (*roots)(struct ksrc_table *table, struct ptkit_root *roots);
	void (*destroy)(struct ksrc_table *table);
};

struct ksrc_table {
	struct ksrc_memory memory; /* first: ksrc_current leads back to the table */
	const struct ksrc_ops *ops;
	struct iommu_domain *domain;
	unsigned int iova_bits, output_bits;
};

static inline struct ksrc_table *ksrc_current_table(void)
{
	return container_of(ksrc_current, struct ksrc_table, memory);
}

/* Makes a page table's memory that of this thread. */
static inline struct ksrc_table *ksrc_enter(struct ptkit_table *opaque)
{
	struct ksrc_table *table = (struct ksrc_table *)opaque;

#ifndef KSRC_BENCH
	ksrc_current = &table->memory;
#endif
	return table;
}

struct ksrc_backend {
	struct ptkit_format format;
	/* Only asked after the one before it said -EOPNOTSUPP to build=permissive; not listed. */
	bool fallback;
	size_t table_bytes; /* of the structure that starts with struct ksrc_table */
	/* The table is zeroed but for its memory; ksrc_current is set. */
	int (*create)(struct ksrc_config *config, struct ksrc_table *table);
};

/* Every library has these: its back ends, ended by null. */
extern const struct ksrc_backend *const ksrc_backends[];

/* Fills in what core.c does. */
void ksrc_core_functions(struct ptkit_implementation *implementation);

/* The driver's iotlb_sync: invalidates the range, then frees what was gathered. */
void ksrc_iotlb_sync(struct iommu_domain *domain, struct iommu_iotlb_gather *gather);
void ksrc_invalidate(u64 first, u64 last, u64 granule, u32 released, u8 leaf_levels, u8 table_levels);
bool ksrc_memory_was_short(void);

#endif
