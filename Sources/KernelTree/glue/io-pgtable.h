/* SPDX-License-Identifier: GPL-2.0-only */
/* What the back ends of io-pgtable share: a driver that has such a page table in its domain. */
#ifndef KSRC_IO_PGTABLE_H
#define KSRC_IO_PGTABLE_H

#include <linux/io-pgtable.h>

#include "ksrc.h"

struct ksrc_io {
	struct ksrc_table table;
	struct io_pgtable *iop;
	void (*free)(struct io_pgtable *iop);
	unsigned int (*roots)(struct io_pgtable *iop, struct ptkit_root *roots);
	struct iommu_domain domain;
	struct iommu_domain_ops domain_ops;
	struct device device;
	u32 protection_mask; /* what the driver passes on */
	bool gathers_unmapped; /* the driver gathers what a call says that it unmapped; else the code gathers itself */
};

/*
 * Makes a page table of `format`. `cfg` is filled in but for `tlb` and `iommu_dev`; it lies where alloc() expects it.
 * The result is that of a refusal: the code itself says only no.
 */
int ksrc_io_create(struct ksrc_config *config, struct ksrc_io *io, enum io_pgtable_fmt format,
	const struct io_pgtable_init_fns *functions, struct io_pgtable_cfg *cfg);

/* Reads ias, oas, coherent and pgsizes. */
void ksrc_io_config(struct ksrc_config *config, struct io_pgtable_cfg *cfg, u64 ias, u64 oas, u64 page_sizes);

#define KSRC_IO_BACKEND(symbol, format_name, structure, function, list) \
	static const struct ksrc_backend symbol = { \
		.format = { \
			.size = sizeof(struct ptkit_format), \
			.name = format_name, \
			.behaviour = "legacy", \
			.era = KSRC_ERA, \
			.configurations = list, \
		}, \
		.table_bytes = sizeof(structure), \
		.create = function, \
	}

#endif
