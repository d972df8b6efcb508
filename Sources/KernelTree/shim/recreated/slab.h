/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Small objects on the host's heap, where sanitizers see them; objects of a kmem_cache are tables smaller than a page
 * (v7s) and come from the harness. What is not asked to be zero is poisoned.
 */
#ifndef KSRC_SLAB_H
#define KSRC_SLAB_H

void *ksrc_kmalloc(size_t size, gfp_t gfp);

#define kmalloc(size, gfp) ksrc_kmalloc(size, gfp)
#define kzalloc(size, gfp) ksrc_kmalloc(size, (gfp) | __GFP_ZERO)
#define kcalloc(count, size, gfp) kzalloc(size_mul(count, size), gfp)
#define kmalloc_array(count, size, gfp) kmalloc(size_mul(count, size), gfp)
#define kzalloc_node(size, gfp, node) kzalloc(size, gfp)
#define kmalloc_node(size, gfp, node) kmalloc(size, gfp)
#define kvmalloc(size, gfp) kmalloc(size, gfp)
#define kvzalloc(size, gfp) kzalloc(size, gfp)
/* Of the type of an object; the flags may be left out. */
#define KSRC_GFP(unused, gfp, ...) gfp
#define KSRC_OBJECT(zero, object, ...) \
	((__typeof__(object) *)ksrc_kmalloc(sizeof(object), KSRC_GFP(~, ##__VA_ARGS__, GFP_KERNEL, ~) | (zero)))
#define kmalloc_obj(object, ...) KSRC_OBJECT(0, object, ##__VA_ARGS__)
#define kzalloc_obj(object, ...) KSRC_OBJECT(__GFP_ZERO, object, ##__VA_ARGS__)

static inline void kfree(const void *object) { free((void *)object); }
#define kvfree(object) kfree(object)
#define kfree_rcu(object, member) kfree(object)

struct kmem_cache {
	unsigned int size_log2;
};

#define SLAB_CACHE_DMA (1u << 0)
#define SLAB_CACHE_DMA32 (1u << 1)
#define SLAB_HWCACHE_ALIGN (1u << 2)
#define SLAB_PANIC (1u << 3)

struct kmem_cache *kmem_cache_create(const char *name, unsigned int size, unsigned int align, slab_flags_t flags,
	void (*constructor)(void *));
static inline void kmem_cache_destroy(struct kmem_cache *cache) { kfree(cache); }
static inline void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t gfp) { return ksrc_alloc(cache->size_log2, gfp); }
static inline void *kmem_cache_zalloc(struct kmem_cache *cache, gfp_t gfp)
{
	return ksrc_alloc(cache->size_log2, gfp | __GFP_ZERO);
}
static inline void kmem_cache_free(struct kmem_cache *cache, void *object)
{
	if (object)
		ksrc_free(object, cache->size_log2);
}
static inline void kmemleak_ignore(const void *object) { (void)object; }

#endif
