/* SPDX-License-Identifier: GPL-2.0-only */
/* Modules, exports, initcalls: nothing of them exists here. */
#ifndef KSRC_MODULES_H
#define KSRC_MODULES_H

#define KSRC_NOTHING struct ksrc_nothing

#define THIS_MODULE NULL
#define EXPORT_SYMBOL(symbol) KSRC_NOTHING
#define EXPORT_SYMBOL_GPL(symbol) KSRC_NOTHING
#define EXPORT_SYMBOL_NS(symbol, space) KSRC_NOTHING
#define EXPORT_SYMBOL_NS_GPL(symbol, space) KSRC_NOTHING
#define EXPORT_SYMBOL_FOR_MODULES(symbol, modules) KSRC_NOTHING
#define EXPORT_SYMBOL_IF_KUNIT(symbol) KSRC_NOTHING
#define VISIBLE_IF_KUNIT static
#define MODULE_LICENSE(text) KSRC_NOTHING
#define MODULE_DESCRIPTION(text) KSRC_NOTHING
#define MODULE_AUTHOR(text) KSRC_NOTHING
#define MODULE_ALIAS(text) KSRC_NOTHING
#define MODULE_IMPORT_NS(space) KSRC_NOTHING
#define module_param(name, type, mode) KSRC_NOTHING
#define module_init(function) KSRC_NOTHING
#define module_exit(function) KSRC_NOTHING
#define subsys_initcall(function) KSRC_NOTHING
#define core_initcall(function) KSRC_NOTHING
#define late_initcall(function) KSRC_NOTHING

#endif
