// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the IOMMU core (drivers/iommu/iommu.c) does around a driver's functions: page sizes, roll back, gathers and the
 * IOTLB sync; written anew from its contract.
 */
#include "ksrc.h"

#include KSRC_IOMMU_PAGES

#ifdef KSRC_PAGES_LIST
#define FREED_PAGES(gather) (&(gather)->freelist.pages)
#else
#define FREED_PAGES(gather) (&(gather)->freelist)
#endif

void ksrc_invalidate(u64 first, u64 last, u64 granule, u32 released, u8 leaf_levels, u8 table_levels)
{
	const struct ptkit_memory *host = ksrc_current->host;
	struct ptkit_invalidation invalidation = {
		.size = sizeof(invalidation),
		.first = first,
		.last = last,
		.granule = granule,
		.released = released,
		.leaf_levels = leaf_levels,
		.table_levels = table_levels,
	};

	host->invalidate(host->context, &invalidation);
}

static u32 count_freed(struct iommu_iotlb_gather *gather)
{
	struct list_head *position;
	u32 count = 0;

	list_for_each(position, FREED_PAGES(gather))
		count++;
	return count;
}

static void invalidate_gathered(struct iommu_iotlb_gather *gather, u64 first, u64 last)
{
	u8 leaves = 0, tables = 0;
	u64 granule = 0;

#ifdef KSRC_GATHER_LEVELS
	if (ksrc_current_table()->ops->map_range) {
		leaves = gather->pt.leaf_levels_bitmap;
		tables = gather->pt.table_levels_bitmap;
	} else
#endif
		granule = gather->pgsize;
	ksrc_invalidate(first, last, granule, count_freed(gather), leaves, tables);
	iommu_put_pages_list(&gather->freelist);
}

#ifdef KSRC_BENCH
/* The driver's commands to its device are not timed, only that they are called for. */
unsigned long ksrc_syncs __attribute__((visibility("hidden")));

void ksrc_iotlb_sync(struct iommu_domain *domain, struct iommu_iotlb_gather *gather)
{
	(void)domain;
	ksrc_syncs++;
	iommu_put_pages_list(&gather->freelist);
}
#else
void ksrc_iotlb_sync(struct iommu_domain *domain, struct iommu_iotlb_gather *gather)
{
	(void)domain;
	invalidate_gathered(gather, gather->start, gather->end);
}
#endif

/* The kernel's gather inside of the harness's, made on first use. */
static struct iommu_iotlb_gather *kernel_gather(struct ptkit_gather *gather, struct iommu_iotlb_gather *own)
{
	struct iommu_iotlb_gather *kept = gather ? gather->data : own;

	if (gather && !kept)
		gather->data = kept = malloc(sizeof(*kept));
	else if (gather)
		return kept;
	if (!kept)
		ksrc_bug(__FILE__, __LINE__, "no memory for a gather");
	iommu_iotlb_gather_init(kept);
	kept->queued = gather && gather->flags & PTKIT_GATHER_QUEUED;
	return kept;
}

static void finish(struct ksrc_table *table, struct ptkit_gather *gather, struct iommu_iotlb_gather *own)
{
	if (!gather)
		iommu_iotlb_sync(table->domain, own);
}

static void core_sync(struct ptkit_table *opaque, struct ptkit_gather *gather)
{
	struct ksrc_table *table = ksrc_enter(opaque);
	struct iommu_iotlb_gather *kept = gather->data;

	if (!kept)
		return;
	/* A flush queue invalidates everything, then frees. */
	if (kept->queued)
		invalidate_gathered(kept, 0, U64_MAX);
	else
		iommu_iotlb_sync(table->domain, kept);
	free(kept);
	gather->data = NULL;
}

/*
 * The largest page size for the start of a range, and how many pages of it: up to where the next larger size fits, if
 * both addresses reach its alignment together and the range holds a page of it there.
 */
static size_t page_size(struct ksrc_table *table, u64 iova, u64 pa, u64 length, size_t *count)
{
	u64 sizes = table->domain->pgsize_bitmap, fitting = sizes & GENMASK_ULL(__fls(length), 0), larger, offset;
	size_t size;

	if (iova | pa)
		fitting &= GENMASK_ULL(__ffs(iova | pa), 0);
	BUG_ON(!fitting);
	size = BIT(__fls(fitting));
	larger = sizes & ~(size | (size - 1));
	if (larger) {
		larger = BIT(__ffs(larger));
		offset = larger - ((iova | pa) & (larger - 1));
		if (!((iova ^ pa) & (larger - 1)) && length >= larger && offset <= length - larger)
			length = offset;
	}
	*count = length >> __ffs(size);
	return size;
}

static u64 smallest_page(struct ksrc_table *table) { return BIT(__ffs(table->domain->pgsize_bitmap)); }

static int map_range(struct ksrc_table *table, u64 iova, u64 pa, u64 length, u32 protection, size_t *mapped)
{
	/* iommu_map() leaves all checks to generic_pt. */
	if (table->ops->map_range)
		return table->ops->map_range(table, iova, pa, length, protection, mapped);
	if (!table->domain->pgsize_bitmap)
		return -EINVAL;
	if ((iova | pa | length) & (smallest_page(table) - 1))
		return -EINVAL;
	while (length) {
		size_t count, done = 0, size = page_size(table, iova, pa, length, &count);
		int result = table->ops->map_pages(table, iova, pa, size, count, protection, &done);

		*mapped += done;
		if (result)
			return result;
		/* The kernel would loop for ever. */
		if (!done)
			ksrc_bug(__FILE__, __LINE__, "map_pages() mapped nothing and reported success");
		iova += done;
		pa += done;
		length -= done;
	}
	return 0;
}

static size_t unmap_range(struct ksrc_table *table, u64 iova, u64 length, struct iommu_iotlb_gather *gather)
{
	size_t unmapped = 0;

	if (table->ops->unmap_range)
		return table->ops->unmap_range(table, iova, length, gather);
	if (!table->domain->pgsize_bitmap || ((iova | length) & (smallest_page(table) - 1)))
		return 0;
	while (unmapped < length) {
		size_t count, size = page_size(table, iova, iova, length - unmapped, &count);
		size_t done = table->ops->unmap_pages(table, iova, size, count, gather);

		if (!done)
			break;
		/* A driver that gathers nothing still gets its sync. */
		if (gather->start >= gather->end)
			iommu_iotlb_gather_add_range(gather, iova, length);
		iova += done;
		unmapped += done;
	}
	return unmapped;
}

static uint64_t core_unmap(struct ptkit_table *opaque, uint64_t iova, uint64_t length, struct ptkit_gather *gather)
{
	struct ksrc_table *table = ksrc_enter(opaque);
	struct iommu_iotlb_gather own;
	u64 unmapped = unmap_range(table, iova, length, kernel_gather(gather, &own));

	finish(table, gather, &own);
	return unmapped;
}

static int core_map(struct ptkit_table *opaque, uint64_t iova, uint64_t pa, uint64_t length, uint32_t protection,
	uint64_t *mapped)
{
	size_t done = 0;
	int result = map_range(ksrc_enter(opaque), iova, pa, length, protection, &done);

	if (mapped)
		*mapped = done;
	else if (result && done)
		core_unmap(opaque, iova, done, NULL);
	return result;
}

static int core_map_pages(struct ptkit_table *opaque, uint64_t iova, uint64_t pa, uint64_t size, uint64_t count,
	uint32_t protection, uint64_t *mapped)
{
	struct ksrc_table *table = ksrc_enter(opaque);
	unsigned long sizes = table->domain->pgsize_bitmap;
	size_t done = 0;
	int result;

	if (table->ops->map_pages) {
		result = table->ops->map_pages(table, iova, pa, size, count, protection, &done);
	} else {
		/* Leaves up to that size: the bitmap is how the core limits them. */
		table->domain->pgsize_bitmap = sizes & (2 * size - 1);
		result = table->ops->map_range(table, iova, pa, size * count, protection, &done);
		table->domain->pgsize_bitmap = sizes;
	}
	*mapped = done;
	return result;
}

static uint64_t core_unmap_pages(struct ptkit_table *opaque, uint64_t iova, uint64_t size, uint64_t count,
	struct ptkit_gather *gather)
{
	struct ksrc_table *table = ksrc_enter(opaque);
	struct iommu_iotlb_gather own, *kept = kernel_gather(gather, &own);
	u64 unmapped;

	if (table->ops->unmap_pages)
		unmapped = table->ops->unmap_pages(table, iova, size, count, kept);
	else
		unmapped = table->ops->unmap_range(table, iova, size * count, kept);
	finish(table, gather, &own);
	return unmapped;
}

static int core_iova_to_phys(struct ptkit_table *opaque, uint64_t iova, uint64_t *pa)
{
	struct ksrc_table *table = ksrc_enter(opaque);

	*pa = table->ops->iova_to_phys(table, iova);
	/* The kernel's 0 is an address or none: then the next byte of that page says which. */
	if (!*pa && !table->ops->iova_to_phys(table, iova | 1))
		return -ENOENT;
	return 0;
}

static unsigned int core_roots(struct ptkit_table *opaque, struct ptkit_root *roots)
{
	struct ksrc_table *table = ksrc_enter(opaque);

	return table->ops->roots(table, roots);
}

static int core_info(struct ptkit_table *opaque, struct ptkit_table_info *info)
{
	struct ksrc_table *table = ksrc_enter(opaque);
	struct ptkit_table_info own = {
		.size = sizeof(own),
		.page_sizes = table->domain->pgsize_bitmap,
		.first_iova = table->domain->geometry.aperture_start,
		.last_iova = table->domain->geometry.aperture_end,
		.iova_bits = table->iova_bits,
		.output_bits = table->output_bits,
	};

	own.size = min(info->size, own.size);
	memcpy(info, &own, own.size);
	return 0;
}

static int core_set_dirty(struct ptkit_table *opaque, uint64_t iova)
{
	struct ksrc_table *table = ksrc_enter(opaque);

	return table->ops->set_dirty ? table->ops->set_dirty(table, iova) : -EOPNOTSUPP;
}

/* The kernel's code only passes it on. */
struct iova_bitmap {
	void (*report)(void *context, uint64_t iova, uint64_t length);
	void *context;
};

void iova_bitmap_set(struct iova_bitmap *bitmap, unsigned long iova, size_t length)
{
	bitmap->report(bitmap->context, iova, length);
}

static int core_dirty(struct ptkit_table *opaque, uint64_t iova, uint64_t length, uint32_t flags,
	void (*report)(void *context, uint64_t iova, uint64_t length), void *context, struct ptkit_gather *gather)
{
	struct ksrc_table *table = ksrc_enter(opaque);
	struct iova_bitmap bitmap = { .report = report, .context = context };
	struct iommu_iotlb_gather own;
	struct iommu_dirty_bitmap dirty = { .bitmap = &bitmap, .gather = kernel_gather(gather, &own) };
	int result;

	if (!table->ops->dirty)
		return -EOPNOTSUPP;
	result = table->ops->dirty(table, iova, length, flags & PTKIT_DIRTY_KEEP ? IOMMU_DIRTY_NO_CLEAR : 0, &dirty);
	finish(table, gather, &own);
	return result;
}

void ksrc_core_functions(struct ptkit_implementation *implementation)
{
	implementation->map = core_map;
	implementation->unmap = core_unmap;
	implementation->sync = core_sync;
	implementation->iova_to_phys = core_iova_to_phys;
	implementation->roots = core_roots;
	implementation->info = core_info;
	implementation->map_pages = core_map_pages;
	implementation->unmap_pages = core_unmap_pages;
	implementation->set_dirty = core_set_dirty;
	implementation->dirty = core_dirty;
}
