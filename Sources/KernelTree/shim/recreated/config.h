/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel configuration that the sources are built with, and IS_ENABLED(). The build script adds
 * KSRC_CONFIG_X86 for formats of x86 and KSRC_DEBUG for CONFIG_DEBUG_GENERIC_PT.
 */
#ifndef KSRC_CONFIG_H
#define KSRC_CONFIG_H

#define CONFIG_64BIT 1
#define CONFIG_SMP 1
#define CONFIG_MMU 1
#define CONFIG_PHYS_ADDR_T_64BIT 1
#define CONFIG_ARCH_DMA_ADDR_T_64BIT 1
#define CONFIG_ZONE_DMA32 1
#define CONFIG_AMD_MEM_ENCRYPT 1
#define CONFIG_IOMMU_API 1
#define CONFIG_IOMMU_SUPPORT 1
#define CONFIG_IOMMU_IO_PGTABLE 1
#define CONFIG_IOMMU_IO_PGTABLE_LPAE 1
#define CONFIG_IOMMU_IO_PGTABLE_ARMV7S 1
#define CONFIG_IOMMU_IO_PGTABLE_DART 1
#define CONFIG_AMD_IOMMU 1
#define CONFIG_GENERIC_PT 1
#define CONFIG_IOMMU_PT 1
#define CONFIG_IOMMUFD_DRIVER 1
/* Gives pt_iommu_ops its set_dirty(). */
#define CONFIG_IOMMUFD_TEST 1
#ifdef KSRC_CONFIG_X86
#define CONFIG_X86 1
#define CONFIG_X86_64 1
#endif
#ifdef KSRC_DEBUG
#define CONFIG_DEBUG_GENERIC_PT 1
#endif

/*
 * IS_ENABLED(CONFIG_X) is 1 where CONFIG_X is defined as 1, and 0 where it is not defined. A defined option turns
 * KSRC_ONE_ and its value into an extra argument, which moves the 1 to the place that is picked.
 */
#define KSRC_ONE_1 ~, 1
#define KSRC_PICK_SECOND(first, second, ...) second
#define KSRC_PICK(...) KSRC_PICK_SECOND(__VA_ARGS__, 0, 0)
#define KSRC_IS_ONE_(value) KSRC_PICK(KSRC_ONE_##value)
#define KSRC_IS_ONE(option) KSRC_IS_ONE_(option)
#define IS_BUILTIN(option) KSRC_IS_ONE(option)
#define IS_MODULE(option) 0
#define IS_REACHABLE(option) KSRC_IS_ONE(option)
#define IS_ENABLED(option) KSRC_IS_ONE(option)

#endif
