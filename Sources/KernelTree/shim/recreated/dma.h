/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Making writes visible to a walker that does not snoop: by cache line (x86) or through the DMA API (others), where a
 * DMA address is the physical one. Both end in the harness's flush.
 */
#ifndef KSRC_DMA_H
#define KSRC_DMA_H

struct device;

enum dma_data_direction { DMA_BIDIRECTIONAL, DMA_TO_DEVICE, DMA_FROM_DEVICE, DMA_NONE };
#define DMA_MAPPING_ERROR (~(dma_addr_t)0)

void ksrc_flush(phys_addr_t physical, size_t bytes);

static inline void clflush_cache_range(void *address, unsigned int bytes) { ksrc_flush(virt_to_phys(address), bytes); }

/* A mapping starts with what the CPU has written. */
static inline dma_addr_t dma_map_single(struct device *device, void *address, size_t bytes,
	enum dma_data_direction direction)
{
	(void)device, (void)direction;
	ksrc_flush(virt_to_phys(address), bytes);
	return virt_to_phys(address);
}

static inline void dma_sync_single_for_device(struct device *device, dma_addr_t address, size_t bytes,
	enum dma_data_direction direction)
{
	(void)device, (void)direction;
	ksrc_flush(address, bytes);
}

static inline int dma_mapping_error(struct device *device, dma_addr_t address)
{
	(void)device;
	return address == DMA_MAPPING_ERROR ? -ENOMEM : 0;
}

#define dma_unmap_single(device, address, bytes, direction) ((void)(device), (void)(address))
#define dma_sync_single_for_cpu(device, address, bytes, direction) ((void)(device), (void)(address))
#define dev_is_dma_coherent(device) 0

#endif
