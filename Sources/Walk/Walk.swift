// SPDX-License-Identifier: GPL-2.0-only

/// From the registers of an IOMMU to the tables of each device.
public enum Walk {}
