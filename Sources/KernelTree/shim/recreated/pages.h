/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The page allocator, on the harness's table memory. Pages come in powers of two, aligned to their size, zeroed when
 * __GFP_ZERO is given and poisoned when it is not. A folio is its first page.
 */
#ifndef KSRC_PAGES_H
#define KSRC_PAGES_H

/* linux/iommu-pages lays its own descriptor over this: members and their order are part of the contract. */
struct page {
	unsigned long flags;
	struct list_head lru;
	void *mapping;
	pgoff_t index;
	unsigned long private;
	unsigned int page_type;
	atomic_t _refcount;
	unsigned int order;
};

struct folio {
	struct page page;
};

struct mm_struct;
struct pglist_data;

/* Bits of our own; only their being distinct counts. */
#define __GFP_ZERO (1u << 0)
#define __GFP_HIGHMEM (1u << 1)
#define __GFP_DMA (1u << 2)
#define __GFP_DMA32 (1u << 3)
#define __GFP_COMP (1u << 4)
#define __GFP_NOWARN (1u << 5)
#define __GFP_ACCOUNT (1u << 6)
#define __GFP_NORETRY (1u << 7)
#define __GFP_RECLAIM (1u << 8)
#define __GFP_HIGH (1u << 9)
#define GFP_KERNEL __GFP_RECLAIM
#define GFP_KERNEL_ACCOUNT (GFP_KERNEL | __GFP_ACCOUNT)
#define GFP_ATOMIC __GFP_HIGH
#define GFP_NOWAIT 0u
#define GFP_DMA __GFP_DMA
#define GFP_DMA32 __GFP_DMA32
#define gfpflags_allow_blocking(flags) (((flags) & __GFP_RECLAIM) != 0)
#define NUMA_NO_NODE (-1)

void *ksrc_alloc(unsigned int size_log2, gfp_t gfp);
void ksrc_free(const void *table, unsigned int size_log2);

static inline struct page *virt_to_page(const void *address)
{
	const struct ksrc_memory *memory = ksrc_current;

	return &memory->pages[((unsigned long)address - memory->window) >> PAGE_SHIFT];
}

static inline void *page_address(const struct page *page)
{
	const struct ksrc_memory *memory = ksrc_current;

	return (void *)(memory->window + ((unsigned long)(page - memory->pages) << PAGE_SHIFT));
}

static inline struct page *ksrc_alloc_page(gfp_t gfp, unsigned int order)
{
	void *table = ksrc_alloc(PAGE_SHIFT + order, gfp);
	struct page *page;

	if (!table)
		return NULL;
	page = virt_to_page(table);
	memset(page, 0, sizeof(*page));
	atomic_set(&page->_refcount, 1);
	page->order = order;
	return page;
}

static inline void ksrc_free_page(struct page *page)
{
	WARN_ON(atomic_read(&page->_refcount) != 0);
	ksrc_free(page_address(page), PAGE_SHIFT + page->order);
}

static inline void put_page(struct page *page)
{
	if (atomic_dec_and_test(&page->_refcount))
		ksrc_free_page(page);
}

static inline void __free_pages(struct page *page, unsigned int order)
{
	WARN_ON(order != page->order);
	put_page(page);
}

/* The order of the smallest block of pages that holds `size` bytes. */
#define get_order(size) ((size) <= PAGE_SIZE ? 0 : ilog2((unsigned long)(size) - 1) + 1 - PAGE_SHIFT)

#define alloc_pages(gfp, order) ksrc_alloc_page(gfp, order)
#define alloc_pages_node(node, gfp, order) ((void)(node), ksrc_alloc_page(gfp, order))
#define __alloc_pages_node(node, gfp, order) alloc_pages_node(node, gfp, order)
#define alloc_page(gfp) alloc_pages(gfp, 0)
#define __free_page(page) __free_pages(page, 0)

static inline unsigned long __get_free_pages(gfp_t gfp, unsigned int order)
{
	struct page *page = alloc_pages(gfp, order);

	return page ? (unsigned long)page_address(page) : 0;
}

static inline void free_pages(unsigned long address, unsigned int order)
{
	if (address)
		__free_pages(virt_to_page((void *)address), order);
}
#define get_zeroed_page(gfp) __get_free_pages((gfp) | __GFP_ZERO, 0)
#define free_page(address) free_pages(address, 0)

#define page_folio(page) ((struct folio *)(page))
#define folio_page(folio, number) (&(folio)->page + (number))
#define virt_to_folio(address) page_folio(virt_to_page(address))
#define folio_address(folio) page_address(&(folio)->page)
#define folio_order(folio) ((folio)->page.order)
#define folio_nr_pages(folio) (1UL << folio_order(folio))
#define folio_size(folio) (PAGE_SIZE << folio_order(folio))
#define folio_put(folio) put_page(&(folio)->page)
#define folio_get(folio) atomic_inc(&(folio)->page._refcount)
#define folio_alloc(gfp, order) page_folio(alloc_pages(gfp, order))
#define __folio_alloc_node(gfp, order, node) page_folio(alloc_pages_node(node, gfp, order))

/* One node; what the kernel accounts is the harness's business. */
#define numa_mem_id() 0
#define numa_node_id() 0
#define page_pgdat(page) ((struct pglist_data *)NULL)
#define folio_pgdat(folio) ((struct pglist_data *)NULL)
enum { NR_IOMMU_PAGES, NR_SECONDARY_PAGETABLE };
#define mod_node_page_state(node, item, pages) do { (void)(pages); } while (0)
#define mod_lruvec_page_state(page, item, pages) do { (void)(pages); } while (0)
#define lruvec_stat_mod_folio(folio, item, pages) do { (void)(pages); } while (0)
#define inc_node_page_state(page, item) do { } while (0)
#define dec_node_page_state(page, item) do { } while (0)

#endif
