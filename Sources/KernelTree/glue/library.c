// SPDX-License-Identifier: GPL-2.0-only
/* The symbol that a library exports, and how its page tables come and go. */
#include <stdio.h>
#include <sys/mman.h>

#include "ksrc.h"

static size_t descriptor_bytes(const struct ptkit_memory *memory)
{
	return (memory->window_bytes >> PAGE_SHIFT) * sizeof(struct page);
}

static void free_table(struct ksrc_table *table)
{
	munmap(table->memory.pages, descriptor_bytes(table->memory.host));
	ksrc_current = NULL;
	free(table);
}

static void destroy_table(struct ptkit_table *opaque)
{
	struct ksrc_table *table = ksrc_enter(opaque);

	table->ops->destroy(table);
	free_table(table);
}

/* An empty structure for a back end, with memory for a struct page for each page of the window. */
static struct ksrc_table *new_table(const struct ksrc_backend *backend, const struct ptkit_memory *host)
{
	struct ksrc_table *table = calloc(1, backend->table_bytes);
	void *pages = mmap(NULL, descriptor_bytes(host), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (!table || pages == MAP_FAILED) {
		free(table);
		return NULL;
	}
	table->memory = (struct ksrc_memory){
		.host = host,
		.window = (unsigned long)host->window,
		.window_physical = host->window_physical,
		.window_bytes = host->window_bytes,
		.pages = pages,
	};
	return table;
}

static int try_backend(const struct ksrc_backend *backend, const char *text, const struct ptkit_memory *host,
	struct ksrc_table **made, char *message, size_t message_bytes)
{
	struct ksrc_config config;
	struct ksrc_table *table;
	int result = ksrc_config_parse(&config, text, message, message_bytes);

	if (result)
		return result;
#ifdef KSRC_BENCH
	if (ksrc_current)
		return ksrc_refuse(&config, -EBUSY, "built for ptkit bench, this has one page table at a time");
	ksrc_offset = (unsigned long)host->window - host->window_physical;
#endif
	table = new_table(backend, host);
	if (!table)
		return ksrc_refuse(&config, -ENOMEM, "no memory for the table's descriptor");
	ksrc_current = &table->memory;
	ksrc_memory_was_short();
	result = backend->create(&config, table);
	if (result) {
		free_table(table);
		return result;
	}
	*made = table;
	return 0;
}

static int create_table(const char *text, const struct ptkit_memory *host, struct ptkit_table **made, char *message,
	size_t message_bytes)
{
	struct ksrc_config config;
	struct ksrc_table *table = NULL;
	int result = ksrc_config_parse(&config, text, message, message_bytes);
	bool known = false;

	if (result)
		return result;
	if (!host->window_bytes)
		return ksrc_refuse(&config, -EINVAL, "kernel code needs table memory in one window");
	for (const struct ksrc_backend *const *next = ksrc_backends; *next; next++) {
		if (strcmp((*next)->format.name, config.format))
			continue;
		if (known && (result != -EOPNOTSUPP || !config.permissive))
			break;
		known = true;
		result = try_backend(*next, text, host, &table, message, message_bytes);
	}
	if (!known)
		return ksrc_refuse(&config, -EINVAL, "this library has no format '%s'", config.format);
	*made = (struct ptkit_table *)table;
	return result;
}

#define MAX_FORMATS 16

const struct ptkit_implementation *ptkit_implementation(uint32_t abi_version)
{
	static const struct ptkit_format *formats[MAX_FORMATS + 1];
	static struct ptkit_implementation implementation = {
		.size = sizeof(implementation),
		.abi_version = PTKIT_ABI_VERSION,
		.name = KSRC_LIBRARY_NAME,
		.formats = formats,
		.create = create_table,
		.destroy = destroy_table,
	};
	int count = 0;

	if (abi_version != PTKIT_ABI_VERSION)
		return NULL;
	ksrc_core_functions(&implementation);
	for (const struct ksrc_backend *const *next = ksrc_backends; *next && count < MAX_FORMATS; next++)
		if (!(*next)->fallback)
			formats[count++] = &(*next)->format;
	return &implementation;
}
