// SPDX-License-Identifier: GPL-2.0-only
/* The kernel's allocators, flushes and warnings, on what the harness supplies. */
#include <stdio.h>

#include "ksrc.h"

#ifdef KSRC_BENCH
const struct ksrc_memory *ksrc_current;
unsigned long ksrc_offset;
#else
__thread const struct ksrc_memory *ksrc_current __attribute__((tls_model("initial-exec")));
#endif

/* Whether the harness has refused an allocation since the last question. */
static __thread bool memory_was_short __attribute__((tls_model("initial-exec")));

/* What uninitialized memory holds. */
#define POISON 0xa5

bool ksrc_memory_was_short(void)
{
	bool was_short = memory_was_short;

	memory_was_short = false;
	return was_short;
}

void *ksrc_alloc(unsigned int size_log2, gfp_t gfp)
{
	const struct ptkit_memory *host = ksrc_current->host;
	uint64_t physical;
	void *table = host->allocate(host->context, size_log2, &physical);

	if (!table)
		memory_was_short = true;
	else if (!(gfp & __GFP_ZERO))
		memset(table, POISON, 1UL << size_log2);
	return table;
}

void ksrc_free(const void *table, unsigned int size_log2)
{
	const struct ptkit_memory *host = ksrc_current->host;

	host->release(host->context, virt_to_phys(table), size_log2);
}

void *ksrc_kmalloc(size_t size, gfp_t gfp)
{
	void *object = malloc(size);

	if (object)
		memset(object, gfp & __GFP_ZERO ? 0 : POISON, size);
	return object;
}

struct kmem_cache *kmem_cache_create(const char *name, unsigned int size, unsigned int align, slab_flags_t flags,
	void (*constructor)(void *))
{
	struct kmem_cache *cache = kzalloc(sizeof(*cache), GFP_KERNEL);

	(void)name, (void)flags, (void)constructor;
	if (cache)
		cache->size_log2 = order_base_2(max(size, align));
	return cache;
}

void ksrc_flush(phys_addr_t physical, size_t bytes)
{
	const struct ptkit_memory *host = ksrc_current->host;

	host->flush(host->context, physical, bytes);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

void ksrc_warn(const char *file, int line, const char *condition)
{
	const struct ptkit_memory *host = ksrc_current->host;
	char text[256];

	snprintf(text, sizeof(text), "%s:%d: %s", base_name(file), line, condition);
	host->warn(host->context, text);
}

void ksrc_bug(const char *file, int line, const char *condition)
{
	fprintf(stderr, "BUG: %s:%d: %s\n", base_name(file), line, condition);
	fflush(stderr);
	abort();
}
