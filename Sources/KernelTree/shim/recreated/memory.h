/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Physical memory: that of the page table which the thread works on. Every call into the library sets ksrc_current, so
 * that kernel code, which knows one physical memory only, can serve several.
 */
#ifndef KSRC_MEMORY_H
#define KSRC_MEMORY_H

struct page;
struct ptkit_memory;

struct ksrc_memory {
	const struct ptkit_memory *host;
	unsigned long window; /* host address of the first byte of table memory */
	u64 window_physical;
	u64 window_bytes;
	struct page *pages; /* one for each 4 KiB of it */
	u64 sme_mask; /* the memory encryption bit, or 0 */
	int amd_levels; /* amd_iommu_gpt_level of this table */
};

#ifdef KSRC_BENCH
/* As in the kernel, what is timed knows one physical memory, at an offset. So there is one page table at a time. */
extern const struct ksrc_memory *ksrc_current __attribute__((visibility("hidden")));
extern unsigned long ksrc_offset __attribute__((visibility("hidden")));
#else
extern __thread const struct ksrc_memory *ksrc_current __attribute__((tls_model("initial-exec")));
#endif

#define PAGE_SHIFT 12
#undef PAGE_SIZE
#define PAGE_SIZE (1UL << PAGE_SHIFT)
#undef PAGE_MASK
#define PAGE_MASK (~(PAGE_SIZE - 1))
#define PAGE_ALIGN(address) ALIGN(address, PAGE_SIZE)
#define PAGE_ALIGNED(address) IS_ALIGNED((unsigned long)(address), PAGE_SIZE)
#define PFN_PHYS(number) ((phys_addr_t)(number) << PAGE_SHIFT)
#define PHYS_PFN(address) ((unsigned long)((address) >> PAGE_SHIFT))

#ifdef KSRC_BENCH
static inline phys_addr_t virt_to_phys(const volatile void *address) { return (unsigned long)address - ksrc_offset; }
static inline void *phys_to_virt(phys_addr_t physical) { return (void *)(physical + ksrc_offset); }
#else
static inline phys_addr_t virt_to_phys(const volatile void *address)
{
	const struct ksrc_memory *memory = ksrc_current;

	return (unsigned long)address - memory->window + memory->window_physical;
}

/* Outside of table memory: an address that no machine maps, so that its use faults. */
static inline void *phys_to_virt(phys_addr_t physical)
{
	const struct ksrc_memory *memory = ksrc_current;
	u64 offset = physical - memory->window_physical;

	if (likely(offset < memory->window_bytes))
		return (void *)(memory->window + offset);
	return (void *)((physical & ~(0xffffULL << 48)) | (0xdeadULL << 48));
}
#endif

#define __pa(address) virt_to_phys((const volatile void *)(address))
#define __va(physical) phys_to_virt(physical)

/* Secure memory encryption: the C-bit is a property of the page table here, of the machine there. */
#define sme_me_mask (ksrc_current->sme_mask)
#define __sme_set(value) ((value) | sme_me_mask)
#define __sme_clr(value) ((value) & ~sme_me_mask)
#define sme_get_me_mask() sme_me_mask
#define __sme_pa(address) (__pa(address) | sme_me_mask)

/* Fills of whole words. */
static inline void *memset64(u64 *words, u64 value, size_t count)
{
	for (size_t index = 0; index < count; index++)
		words[index] = value;
	return words;
}

static inline void *memset32(u32 *words, u32 value, size_t count)
{
	for (size_t index = 0; index < count; index++)
		words[index] = value;
	return words;
}

/* What follows a member, or starts with it, up to the end of a structure. */
#define memset_after(object, value, member) \
	memset((char *)(object) + offsetofend(__typeof__(*(object)), member), value, \
		sizeof(*(object)) - offsetofend(__typeof__(*(object)), member))
#define memset_startat(object, value, member) \
	memset((char *)(object) + offsetof(__typeof__(*(object)), member), value, \
		sizeof(*(object)) - offsetof(__typeof__(*(object)), member))

#endif
