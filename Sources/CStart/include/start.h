/* SPDX-License-Identifier: GPL-2.0-only */

/* start.c has nothing to call: it runs before main(). */
