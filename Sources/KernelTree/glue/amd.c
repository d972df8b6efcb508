// SPDX-License-Identifier: GPL-2.0-only
/*
 * Back ends of amd/io_pgtable.c and amd/io_pgtable_v2.c (Linux before generic_pt): amdv1, and x86_64 with use=amdv2.
 * Stands in for the rest of AMD's driver, whose structures the code reaches into.
 */
#include "amd_iommu_types.h"
#include "amd_iommu.h"

#include "io-pgtable.h"

struct amd_table {
	struct ksrc_io io;
	struct protection_domain domain;
};

unsigned long amd_iommu_pgsize_bitmap = AMD_IOMMU_PGSIZES;

/* amd_iommu_gpt_level is a variable of the machine there, of the page table here (see the build script). */
int *ksrc_amd_levels(void) { return (int *)&ksrc_current->amd_levels; }

void amd_iommu_domain_flush_pages(struct protection_domain *domain, u64 address, size_t size)
{
	(void)domain;
	ksrc_invalidate(address, address + size - 1, 0, PTKIT_RELEASED_UNKNOWN, 0, 0);
}

/* The device table gets the new root; then everything cached is invalidated. */
void amd_iommu_update_and_flush_device_table(struct protection_domain *domain)
{
	const struct ptkit_memory *host = ksrc_current->host;

	host->change_top(host->context, virt_to_phys(domain->iop.root), domain->iop.mode - 1);
}

static unsigned int roots_v1(struct io_pgtable *iop, struct ptkit_root *roots)
{
	struct amd_io_pgtable *data = container_of(iop, struct amd_io_pgtable, pgtbl);

	roots[0] = (struct ptkit_root){ .physical = virt_to_phys(data->root), .level = data->mode - 1 };
	return 1;
}

static unsigned int roots_v2(struct io_pgtable *iop, struct ptkit_root *roots)
{
	struct amd_io_pgtable *data = container_of(iop, struct amd_io_pgtable, pgtbl);

	roots[0] = (struct ptkit_root){ .physical = virt_to_phys(data->pgd), .level = *ksrc_amd_levels() - 1 };
	return 1;
}

static int create(struct ksrc_config *config, struct ksrc_table *table, enum io_pgtable_fmt format)
{
	struct amd_table *amd = container_of(table, struct amd_table, io.table);
	bool first = format == AMD_IOMMU_V1;
	u64 levels = ksrc_config_number(config, "levels", first ? 3 : 4), bit = ksrc_config_number(config, "cbit", 0);
	u64 sizes = ksrc_config_number(config, "pgsizes", 0);
	int result;

	ksrc_config_ignore(config, "era");
	if (first ? levels != 3 : levels != 4 && levels != 5)
		return ksrc_refuse(config, -EINVAL, "levels is %s", first ? "3" : "4 or 5");
	table->memory.sme_mask = bit && bit < 64 ? BIT_ULL(bit) : 0;
	table->memory.amd_levels = levels;
	spin_lock_init(&amd->domain.lock);
	amd->domain.iop.pgtbl.cfg.amd.nid = NUMA_NO_NODE;
	amd->io.roots = first ? roots_v1 : roots_v2;
	amd->io.protection_mask = IOMMU_READ | IOMMU_WRITE;
	amd->io.gathers_unmapped = true;
	result = ksrc_io_create(config, &amd->io, format,
		first ? &io_pgtable_amd_iommu_v1_init_fns : &io_pgtable_amd_iommu_v2_init_fns, &amd->domain.iop.pgtbl.cfg);
	if (!result && sizes)
		amd->io.domain.pgsize_bitmap = sizes;
	return result;
}

static int create_v1(struct ksrc_config *config, struct ksrc_table *table)
{
	return create(config, table, AMD_IOMMU_V1);
}

static int create_v2(struct ksrc_config *config, struct ksrc_table *table)
{
	if (strcmp(ksrc_config_text(config, "use", "amdv2"), "amdv2"))
		return ksrc_refuse(config, -EOPNOTSUPP, "this is AMD's code: use=amdv2");
	/* Keys of the same format's other driver. */
	ksrc_config_ignore(config, "superpages");
	ksrc_config_ignore(config, "coherent");
	ksrc_config_ignore(config, "ias");
	return create(config, table, AMD_IOMMU_V2);
}

static const char *const v1_list[] = { "amdv1", "amdv1:cbit=47", NULL };
static const char *const v2_list[] = { "x86_64:use=amdv2", "x86_64:use=amdv2,levels=5", NULL };

KSRC_IO_BACKEND(amdv1, "amdv1", struct amd_table, create_v1, v1_list);
KSRC_IO_BACKEND(amdv2, "x86_64", struct amd_table, create_v2, v2_list);

const struct ksrc_backend *const ksrc_backends[] = { &amdv1, &amdv2, NULL };
