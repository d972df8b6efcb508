/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ptkit.h - how an implementation of IOMMU page tables shows itself to ptkit
 *
 * An implementation is a shared library that exports one function, ptkit_implementation(). ptkit loads it into a
 * process of its own, makes page tables with it and runs every test on them. The library gets all of its table memory
 * from ptkit, so that ptkit sees every table, every cache flush, every invalidation and every release, can make any
 * allocation fail, and can poison or fence what was released.
 *
 *   cc -shared -fPIC -Iinclude -o mine.so mine.c
 *   ptkit selftest --target lib:./mine.so
 *
 * Sources/Example/sv.c is a whole implementation and the template to start from.
 *
 * Units: addresses, lengths and sizes are bytes unless a name ends in _log2. Level 0 is the last level. Errors are
 * negative Linux errno values (-22 is -EINVAL), the same on every machine.
 *
 * Threads: ptkit calls one table from several threads at once, as drivers do; no two calls at a time touch
 * overlapping IOVAs, and nothing runs beside destroy(). Different tables have nothing in common. Callbacks may be
 * called from any thread that is inside of a call, and only from there.
 *
 * Versions: PTKIT_ABI_VERSION changes when something here changes its meaning. Structures that may grow do so at their
 * end, and start with their size as the side that fills them in was compiled: a member beyond that size is absent, and
 * an absent function is like a null one.
 */
#ifndef PTKIT_H
#define PTKIT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PTKIT_ABI_VERSION 1

/* Protection of a mapping; the values of Linux's IOMMU_READ ... IOMMU_PRIV. */
#define PTKIT_READ (1u << 0)
#define PTKIT_WRITE (1u << 1)
#define PTKIT_CACHE (1u << 2)
#define PTKIT_NOEXEC (1u << 3)
#define PTKIT_MMIO (1u << 4)
#define PTKIT_PRIV (1u << 5)

/* A page table; the implementation's own. */
struct ptkit_table;

/* One invalidation of the IOTLB. */
struct ptkit_invalidation {
	size_t size;
	uint64_t first; /* the first IOVA covered */
	uint64_t last; /* the last IOVA covered, inclusive */
	uint64_t granule; /* size of the leaves removed, where the implementation tells the IOMMU; else 0 */
	uint32_t released; /* tables released once this has completed; PTKIT_RELEASED_UNKNOWN where it cannot tell */
	uint8_t leaf_levels; /* bit N: leaves of level N were removed; 0 where the implementation does not track it */
	uint8_t table_levels; /* bit N: table entries of level N were removed; as leaf_levels */
};
#define PTKIT_RELEASED_UNKNOWN UINT32_MAX

/*
 * Table memory, and the IOMMU that walks it: supplied by ptkit, one for each page table, valid from create() until
 * destroy() has returned. Every function takes `context` first. None may be null, unless it says so.
 */
struct ptkit_memory {
	size_t size;
	void *context;

	/*
	 * Where all table memory lies: the byte of physical address window_physical + n is window[n], for n below
	 * window_bytes. A shortcut past the two functions below; window_bytes may be 0, and then only they say.
	 */
	void *window;
	uint64_t window_physical;
	uint64_t window_bytes;

	/*
	 * Allocates a table of 2^size_log2 bytes, zeroed and aligned to its size in physical memory; stores its physical
	 * address. Null when memory is short or a test makes it fail.
	 */
	void *(*allocate)(void *context, unsigned int size_log2, uint64_t *physical);

	/* Gives back a whole table that allocate() returned. Neither the hardware nor the implementation reads it again. */
	void (*release)(void *context, uint64_t physical, unsigned int size_log2);

	/* The host address of a physical one; null where there is no table memory. */
	void *(*phys_to_virt)(void *context, uint64_t physical);

	/* The physical address of a byte of a table. */
	uint64_t (*virt_to_phys)(void *context, const void *address);

	/* Writes the CPU's cache lines of a range back to memory, for a walker that does not snoop. */
	void (*flush)(void *context, uint64_t physical, size_t bytes);

	/* Invalidates the IOTLB and waits until that is complete. */
	void (*invalidate)(void *context, const struct ptkit_invalidation *invalidation);

	/* The hardware's root is now this table of this level. On return the hardware walks from there. */
	void (*change_top)(void *context, uint64_t physical, unsigned int level);

	/* The implementation found its caller at fault (Linux: WARN_ON); one line of text. */
	void (*warn)(void *context, const char *text);

	/*
	 * May be null, and need not be called: `count` entries of `entry_bytes` each have just been written. ptkit can see
	 * the words themselves; this adds their order.
	 */
	void (*entries_written)(void *context, uint64_t physical, size_t count, unsigned int entry_bytes);
};

/*
 * What unmaps have removed and no invalidation has covered yet. ptkit zeroes it, sets size and flags, hands it to any
 * number of unmap() and dirty() calls of one table, then to sync(). `data` is the implementation's, for instance the
 * list of tables to release; null means that nothing is gathered.
 */
struct ptkit_gather {
	size_t size;
	uint32_t flags;
	void *data;
};
#define PTKIT_GATHER_QUEUED (1u << 0) /* sync() will be told to invalidate everything: unmap() need not invalidate */

/* A root that the hardware starts from. */
struct ptkit_root {
	uint64_t physical;
	uint32_t level;
};
#define PTKIT_MAX_ROOTS 16

/* What one page table is like. */
struct ptkit_table_info {
	size_t size;
	uint64_t page_sizes; /* bitmap of the leaf sizes in use: bit N for 2^N bytes */
	uint64_t first_iova; /* the first IOVA that can be mapped */
	uint64_t last_iova; /* the last one; for a table of both halves, of the one first_iova lies in */
	uint32_t iova_bits; /* width of an IOVA; 0 where unknown */
	uint32_t output_bits; /* width of an output address; 0 where unknown */
};

/* One format that an implementation knows. */
struct ptkit_format {
	size_t size;
	const char *name; /* as ptkit names it where it knows it: amdv1, armv8, ...; else [a-z0-9_]+ */
	/*
	 * Whose results its operations show where the contract of the IOMMU API leaves a choice: "generic" (Linux's
	 * generic_pt), "legacy" (Linux before it), or "own": then tests that bind one of the others compare only what
	 * was left behind by operations that had the same results.
	 */
	const char *behaviour;
	const char *era; /* the Linux version whose code it is or models, for instance "6.12"; null for none */
	const char *const *configurations; /* texts to test, each as create() takes it; ends with null; null for none */
	const char *summary; /* a line on what it is; may be null */
};

#define PTKIT_DIRTY_KEEP (1u << 0) /* dirty(): read only, clear nothing */

struct ptkit_implementation {
	size_t size;
	uint32_t abi_version; /* PTKIT_ABI_VERSION */
	const char *name; /* for reports, for instance "Linux 7.3.4 io-pgtable-arm.c" */
	const struct ptkit_format *const *formats; /* ends with null */

	/*
	 * Makes an empty page table. `configuration` is `format` or `format:key=value,...`, with the keys of the kit
	 * (`ptkit formats`); ptkit writes out every key, but keys left out have defaults. `build=permissive` asks for
	 * combinations that a Linux build refuses. A key that means nothing here is refused with -EINVAL.
	 *
	 * On failure the result is negative and `message`, of message_bytes, holds a line that says why. What is refused is
	 * skipped, unless the format's own list has it: then it is a failure. So is a positive result.
	 */
	int (*create)(const char *configuration, const struct ptkit_memory *memory, struct ptkit_table **table,
		char *message, size_t message_bytes);

	/* Releases every table. Nothing walks them any more. */
	void (*destroy)(struct ptkit_table *table);

	/*
	 * As iommu_map(): maps [iova, iova + length) to [pa, pa + length), all of it or nothing; what a failure left
	 * behind is unmapped again. With `mapped` not null there is no roll back: it gets the bytes mapped.
	 */
	int (*map)(struct ptkit_table *table, uint64_t iova, uint64_t pa, uint64_t length, uint32_t protection,
		uint64_t *mapped);

	/*
	 * As iommu_unmap(): returns the bytes unmapped, from iova to the first hole; may exceed `length` where a whole leaf
	 * goes. With a null gather it invalidates and releases before it returns (iommu_unmap), else sync() does
	 * (iommu_unmap_fast).
	 */
	uint64_t (*unmap)(struct ptkit_table *table, uint64_t iova, uint64_t length, struct ptkit_gather *gather);

	/* Invalidates what was gathered, then releases the tables gathered, and leaves an empty gather. */
	void (*sync)(struct ptkit_table *table, struct ptkit_gather *gather);

	/* Stores the output address that an IOVA translates to; -ENOENT for none. Takes part in no locking. */
	int (*iova_to_phys)(struct ptkit_table *table, uint64_t iova, uint64_t *pa);

	/* Stores the roots in the order of the IOVA bits that choose among them, and returns how many, at least 1. */
	unsigned int (*roots)(struct ptkit_table *table, struct ptkit_root roots[PTKIT_MAX_ROOTS]);

	/* From here on every function may be null; one that cannot serve a format returns -EOPNOTSUPP. */

	/* Fills in what it knows, up to info->size; the rest stays as it is, zeroed by ptkit. */
	int (*info)(struct ptkit_table *table, struct ptkit_table_info *info);

	/*
	 * One map_pages call of io-pgtable: `count` pages of `page_size`; may map fewer and return 0. Elsewhere: maps with
	 * leaves up to that size. Where null, tests of it are skipped.
	 */
	int (*map_pages)(struct ptkit_table *table, uint64_t iova, uint64_t pa, uint64_t page_size, uint64_t count,
		uint32_t protection, uint64_t *mapped);

	/* One unmap_pages call; the gather is as for unmap(). */
	uint64_t (*unmap_pages)(struct ptkit_table *table, uint64_t iova, uint64_t page_size, uint64_t count,
		struct ptkit_gather *gather);

	/* The device writes: sets the dirty bit in the one entry that maps an IOVA. -ENOENT for a hole. */
	int (*set_dirty)(struct ptkit_table *table, uint64_t iova);

	/*
	 * As read_and_clear_dirty(): calls report() for each dirty leaf of the range in ascending order, and clears it
	 * unless flags say to keep it. The gather is as for unmap().
	 */
	int (*dirty)(struct ptkit_table *table, uint64_t iova, uint64_t length, uint32_t flags,
		void (*report)(void *context, uint64_t iova, uint64_t length), void *context, struct ptkit_gather *gather);

	/* Splits the leaf that covers an IOVA, so that one starts there; mappings and dirty bits stay. */
	int (*cut)(struct ptkit_table *table, uint64_t iova, struct ptkit_gather *gather);
};

/*
 * The one symbol of a library. Returns null when it cannot speak that version of the interface, else a table of
 * functions that stays valid until the library is unloaded. Called once, before anything else.
 */
#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
const struct ptkit_implementation *ptkit_implementation(uint32_t abi_version);

/* The host address of table memory: the window, then phys_to_virt(). Null where there is none. */
static inline void *ptkit_phys_to_virt(const struct ptkit_memory *memory, uint64_t physical)
{
	uint64_t offset = physical - memory->window_physical;

	if (offset < memory->window_bytes)
		return (char *)memory->window + offset;
	return memory->phys_to_virt(memory->context, physical);
}

/* The physical address of a byte of a table: the window, then virt_to_phys(). */
static inline uint64_t ptkit_virt_to_phys(const struct ptkit_memory *memory, const void *address)
{
	uint64_t offset = (uint64_t)((uintptr_t)address - (uintptr_t)memory->window);

	if (offset < memory->window_bytes)
		return memory->window_physical + offset;
	return memory->virt_to_phys(memory->context, address);
}

#ifdef __cplusplus
}
#endif

#endif
