// SPDX-License-Identifier: GPL-2.0-only
/* A driver around an io-pgtable, and what drivers/iommu/io-pgtable.c does to make one. */
#include "io-pgtable.h"

static struct ksrc_io *to_io(struct ksrc_table *table) { return container_of(table, struct ksrc_io, table); }

static void flush_all(void *cookie)
{
	(void)cookie;
	ksrc_invalidate(0, U64_MAX, 0, PTKIT_RELEASED_UNKNOWN, 0, 0);
}

static void flush_walk(unsigned long iova, size_t size, size_t granule, void *cookie)
{
	(void)cookie;
	ksrc_invalidate(iova, iova + size - 1, granule, PTKIT_RELEASED_UNKNOWN, 0, 0);
}

/* As the SMMU's driver: one invalidation covers adjacent pages of one size. */
static void add_page(struct iommu_iotlb_gather *gather, unsigned long iova, size_t granule, void *cookie)
{
	struct ksrc_io *io = cookie;

	iommu_iotlb_gather_add_page(&io->domain, gather, iova, granule);
}

static const struct iommu_flush_ops flush_ops = {
	.tlb_flush_all = flush_all,
	.tlb_flush_walk = flush_walk,
	.tlb_add_page = add_page,
};

static int io_map_pages(struct ksrc_table *table, u64 iova, u64 pa, size_t size, size_t count, u32 protection,
	size_t *mapped)
{
	struct ksrc_io *io = to_io(table);

	return io->iop->ops.map_pages(&io->iop->ops, iova, pa, size, count, protection & io->protection_mask,
		GFP_KERNEL, mapped);
}

static size_t io_unmap_pages(struct ksrc_table *table, u64 iova, size_t size, size_t count,
	struct iommu_iotlb_gather *gather)
{
	struct ksrc_io *io = to_io(table);
	size_t unmapped = io->iop->ops.unmap_pages(&io->iop->ops, iova, size, count, gather);

	if (unmapped && io->gathers_unmapped)
		iommu_iotlb_gather_add_range(gather, iova, unmapped);
	return unmapped;
}

static phys_addr_t io_iova_to_phys(struct ksrc_table *table, u64 iova)
{
	struct ksrc_io *io = to_io(table);

	return io->iop->ops.iova_to_phys(&io->iop->ops, iova);
}

static int io_dirty(struct ksrc_table *table, u64 iova, u64 length, unsigned long flags,
	struct iommu_dirty_bitmap *dirty)
{
	struct ksrc_io *io = to_io(table);

	if (!io->iop->ops.read_and_clear_dirty)
		return -EOPNOTSUPP;
	return io->iop->ops.read_and_clear_dirty(&io->iop->ops, iova, length, flags, dirty);
}

static unsigned int io_roots(struct ksrc_table *table, struct ptkit_root *roots)
{
	struct ksrc_io *io = to_io(table);

	return io->roots(io->iop, roots);
}

static void io_destroy(struct ksrc_table *table)
{
	struct ksrc_io *io = to_io(table);

	flush_all(io);
	io->free(io->iop);
}

static const struct ksrc_ops io_ops = {
	.map_pages = io_map_pages,
	.unmap_pages = io_unmap_pages,
	.iova_to_phys = io_iova_to_phys,
	.dirty = io_dirty,
	.roots = io_roots,
	.destroy = io_destroy,
};

void ksrc_io_config(struct ksrc_config *config, struct io_pgtable_cfg *cfg, u64 ias, u64 oas, u64 page_sizes)
{
	u64 sizes = ksrc_config_number(config, "pgsizes", 0);

	cfg->ias = ksrc_config_number(config, "ias", ias);
	cfg->oas = ksrc_config_number(config, "oas", oas);
	cfg->pgsize_bitmap = sizes ? sizes : page_sizes;
	cfg->coherent_walk = ksrc_config_number(config, "coherent", 1);
	ksrc_config_ignore(config, "era");
}

int ksrc_io_create(struct ksrc_config *config, struct ksrc_io *io, enum io_pgtable_fmt format,
	const struct io_pgtable_init_fns *functions, struct io_pgtable_cfg *cfg)
{
	int result = ksrc_config_check(config);

	if (result)
		return result;
	cfg->tlb = &flush_ops;
	cfg->iommu_dev = &io->device;
	io->iop = functions->alloc(cfg, io);
	if (!io->iop && ksrc_memory_was_short())
		return ksrc_refuse(config, -ENOMEM, "no memory for the root");
	if (!io->iop)
		return ksrc_refuse(config, -EINVAL, "the code's alloc() refused it");
	io->iop->fmt = format;
	io->iop->cookie = io;
	io->iop->cfg = *cfg;
	io->free = functions->free;
	if (!io->protection_mask)
		io->protection_mask = U32_MAX;
	io->domain_ops.iotlb_sync = ksrc_iotlb_sync;
	io->domain.type = __IOMMU_DOMAIN_PAGING;
	io->domain.ops = &io->domain_ops;
	io->domain.pgsize_bitmap = cfg->pgsize_bitmap;
	io->domain.geometry.aperture_end = DMA_BIT_MASK(cfg->ias);
	io->domain.geometry.force_aperture = true;
	io->table.ops = &io_ops;
	io->table.domain = &io->domain;
	io->table.iova_bits = cfg->ias;
	io->table.output_bits = cfg->oas;
	return 0;
}
