// SPDX-License-Identifier: GPL-2.0-only

/// Virtual machines that boot real kernels.
public enum Lab {}
