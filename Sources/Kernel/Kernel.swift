// SPDX-License-Identifier: GPL-2.0-only

/// Tests of a running kernel, through the calls of a `Machine`.
public enum Kernel {}
