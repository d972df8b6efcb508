/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The interface of /dev/ptkit_iommu: IOMMU mappings of a PCI device where there is no VFIO.
 *
 * An open file is one domain for one device; closing it removes all mappings and gives the device back. Addresses and lengths are
 * in bytes and multiples of the larger of the processor's page and the domain's smallest. Every call but ATTACH fails with
 * ENODEV before ATTACH; wrong input fails with EINVAL, and what the IOMMU's driver refuses with the driver's own error.
 */
#ifndef PTKIT_IOMMU_H
#define PTKIT_IOMMU_H

#include <linux/ioctl.h>
#include <linux/types.h>

/*
 * The device by its address, "0000:00:04.0", zero-terminated. EBUSY where it has a driver or this file has a device already, EPERM
 * where another file has it.
 */
struct ptkit_iommu_attach {
	char device[32];
};

/* Set in ptkit_iommu_info.flags where the device's accesses are coherent with the processor's caches. */
#define PTKIT_IOMMU_COHERENT 1

struct ptkit_iommu_info {
	__u64 pgsize_bitmap;
	__u64 aperture_first;
	__u64 aperture_last;
	__u32 flags;
	__u32 reserved;
};

#define PTKIT_IOMMU_READ 1
#define PTKIT_IOMMU_WRITE 2

/* Maps memory of the calling process. EEXIST where any of the range is mapped. */
struct ptkit_iommu_map {
	__u64 iova;
	__u64 address;
	__u64 length;
	__u32 prot;
	__u32 flags; /* 0 */
};

/* Removes all mappings in a range, which may have holes. EINVAL where it would cut a mapping; nothing is removed then. */
struct ptkit_iommu_unmap {
	__u64 iova;
	__u64 length;
	__u64 unmapped; /* how many bytes iommu_unmap() says it unmapped */
};

/* What iommu_iova_to_phys() says; 0 where nothing is mapped. */
struct ptkit_iommu_phys {
	__u64 iova;
	__u64 physical;
};

#define PTKIT_IOMMU_ATTACH _IOW('P', 0, struct ptkit_iommu_attach)
#define PTKIT_IOMMU_INFO _IOR('P', 1, struct ptkit_iommu_info)
#define PTKIT_IOMMU_MAP _IOW('P', 2, struct ptkit_iommu_map)
#define PTKIT_IOMMU_UNMAP _IOWR('P', 3, struct ptkit_iommu_unmap)
#define PTKIT_IOMMU_PHYS _IOWR('P', 4, struct ptkit_iommu_phys)

#endif
