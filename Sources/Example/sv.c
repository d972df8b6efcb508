// SPDX-License-Identifier: GPL-2.0-only
/*
 * A whole implementation of ptkit.h, to start from: RISC-V's Sv39, Sv48 and Sv57 as its IOMMU walks them (The RISC-V
 * Instruction Set Manual, Volume II, "Sv39"; RISC-V IOMMU Architecture Specification, "Process to translate an IOVA").
 *
 *   cc -shared -fPIC -Iinclude -o sv.so Sources/Example/sv.c && ptkit selftest --target lib:./sv.so
 *
 * To make it yours, change the words, the geometry, and what create() reads. Threads work at IOVAs that do not overlap:
 * tables that they share are installed by compare-and-exchange, and leave only with an unmap of all that they cover.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ptkit.h"

#define PAGE_LOG2 12
#define LEVEL_BITS 9
#define TABLE_WORDS (1u << LEVEL_BITS)
#define OUTPUT_BITS 56

/* Words: valid, readable, writable, executable, user, accessed, dirty; a pointer has none of R, W and X. */
enum { WORD_V = 0x01, WORD_R = 0x02, WORD_W = 0x04, WORD_X = 0x08, WORD_U = 0x10, WORD_A = 0x40, WORD_D = 0x80 };
#define WORD_PPN (((1ull << 44) - 1) << 10)

struct ptkit_table {
	const struct ptkit_memory *memory;
	uint64_t root;
	unsigned int top_level;
};

/* What was removed and no invalidation has covered yet: a range, and tables that are released after it. */
struct gathered {
	uint64_t first, last;
	uint32_t count;
	uint64_t tables[];
};

static uint64_t item_size(unsigned int level) { return 1ull << (PAGE_LOG2 + LEVEL_BITS * level); }

static uint64_t *entry(struct ptkit_table *table, uint64_t physical, unsigned int level, uint64_t iova)
{
	return (uint64_t *)ptkit_phys_to_virt(table->memory, physical) + (iova / item_size(level)) % TABLE_WORDS;
}

static bool is_pointer(uint64_t word) { return word & WORD_V && !(word & (WORD_R | WORD_W | WORD_X)); }
static uint64_t address(uint64_t word) { return (word & WORD_PPN) << 2; }
static uint64_t table_word(uint64_t physical) { return physical >> 2 | WORD_V; }

static uint64_t leaf_word(uint64_t pa, uint32_t protection)
{
	/* Writable implies readable. What hardware may refuse to set itself is set from the start. */
	return table_word(pa) | WORD_R | WORD_U | WORD_A | (protection & PTKIT_WRITE ? WORD_W | WORD_D : 0) |
		(protection & PTKIT_NOEXEC ? 0 : WORD_X);
}

/* Adds a range, and a table unless it is 0. False when the heap is short: then nothing has changed. */
static bool gather(struct ptkit_gather *into, uint64_t first, uint64_t last, uint64_t removed)
{
	struct gathered *old = into->data, *now;
	uint32_t count = old ? old->count : 0;

	now = realloc(old, sizeof(*now) + (count + 1) * sizeof(now->tables[0]));
	if (!now)
		return false;
	now->first = old && now->first < first ? now->first : first;
	now->last = old && now->last > last ? now->last : last;
	now->tables[count] = removed;
	now->count = count + (removed != 0);
	into->data = now;
	return true;
}

static void sv_sync(struct ptkit_table *table, struct ptkit_gather *from)
{
	const struct ptkit_memory *memory = table->memory;
	struct gathered *gathered = from->data;
	bool everything = from->flags & PTKIT_GATHER_QUEUED;
	struct ptkit_invalidation invalidation = { .size = sizeof(invalidation) };

	if (!gathered)
		return;
	invalidation.first = everything ? 0 : gathered->first;
	invalidation.last = everything ? UINT64_MAX : gathered->last;
	invalidation.released = gathered->count;
	memory->invalidate(memory->context, &invalidation);
	for (uint32_t index = 0; index < gathered->count; index++)
		memory->release(memory->context, gathered->tables[index], PAGE_LOG2);
	free(gathered);
	from->data = NULL;
}

/* An IOVA is sign-extended; a range lies in one half. */
static bool spans(struct ptkit_table *table, uint64_t first, uint64_t last)
{
	uint64_t half = item_size(table->top_level + 1) / 2, high = UINT64_MAX / half;

	return first <= last && first / half == last / half && (first / half == 0 || first / half == high);
}

/* Unmaps from iova on up to `last` within one table, and stops at a hole; whole leaves only. */
static uint64_t unmap_level(struct ptkit_table *table, uint64_t physical, unsigned int level, uint64_t iova,
	uint64_t last, struct ptkit_gather *into, bool *hole)
{
	uint64_t size = item_size(level), start = iova, table_last = iova | (size * TABLE_WORDS - 1);

	/* Ends past the range, past the table, or wrapped around to 0. */
	do {
		uint64_t *word = entry(table, physical, level, iova), item = iova & ~(size - 1), old = *word;

		if (is_pointer(old)) {
			bool whole = iova == item && last >= item + size - 1;

			iova += unmap_level(table, address(old), level - 1, iova, last, into, hole);
			/* Better an empty table that stays than one that is released too early. */
			if (!*hole && whole && gather(into, item, item + size - 1, address(old)))
				__atomic_store_n(word, 0, __ATOMIC_RELEASE);
		} else if (old && iova == item && gather(into, item, item + size - 1, 0)) {
			__atomic_store_n(word, 0, __ATOMIC_RELEASE);
			iova += size;
		} else {
			*hole = true;
		}
	} while (!*hole && iova - 1 < last && iova - 1 < table_last);
	return iova - start;
}

static uint64_t sv_unmap(struct ptkit_table *table, uint64_t iova, uint64_t length, struct ptkit_gather *into)
{
	struct ptkit_gather own = { .size = sizeof(own) };
	uint64_t unmapped = 0, last = iova + length - 1;
	bool hole = !length || !spans(table, iova, last);

	if (!hole)
		unmapped = unmap_level(table, table->root, table->top_level, iova, last, into ? into : &own, &hole);
	sv_sync(table, &own);
	return unmapped;
}

/* The table below an entry; made where there is none. 0 when memory is short. */
static uint64_t descend(struct ptkit_table *table, uint64_t *word)
{
	const struct ptkit_memory *memory = table->memory;
	uint64_t seen = __atomic_load_n(word, __ATOMIC_ACQUIRE), physical;

	if (seen || !memory->allocate(memory->context, PAGE_LOG2, &physical))
		return address(seen);
	if (__atomic_compare_exchange_n(word, &seen, table_word(physical), false, __ATOMIC_RELEASE, __ATOMIC_ACQUIRE))
		return physical;
	/* Another thread was faster. */
	memory->release(memory->context, physical, PAGE_LOG2);
	return address(seen);
}

/* Whether anything is mapped below a table; with a gather, gathers the tables below it. */
static bool maps(struct ptkit_table *table, uint64_t physical, unsigned int level, uint64_t iova,
	struct ptkit_gather *into)
{
	for (unsigned int index = 0; index < TABLE_WORDS; index++) {
		uint64_t item = iova + index * item_size(level), word = *entry(table, physical, level, item);

		if (word && (!is_pointer(word) || maps(table, address(word), level - 1, item, into)))
			return true;
		if (word && into && !gather(into, item, item + item_size(level) - 1, address(word)))
			return true;
	}
	return false;
}

static int map_leaf(struct ptkit_table *table, uint64_t iova, uint64_t leaf, unsigned int level,
	struct ptkit_gather *into)
{
	uint64_t physical = table->root, *word, old;

	for (unsigned int now = table->top_level; now > level; now--) {
		word = entry(table, physical, now, iova);
		if (*word && !is_pointer(*word))
			return -EADDRINUSE;
		physical = descend(table, word);
		if (!physical)
			return -ENOMEM;
	}
	word = entry(table, physical, level, iova);
	old = *word;
	/* An empty table gives way to a leaf, and is released when no walk can be in it any more. */
	if (old && (!is_pointer(old) || maps(table, address(old), level - 1, iova, NULL)))
		return -EADDRINUSE;
	if (old && (!gather(into, iova, iova + item_size(level) - 1, address(old)) ||
		maps(table, address(old), level - 1, iova, into)))
		return -ENOMEM;
	__atomic_store_n(word, leaf, __ATOMIC_RELEASE);
	return 0;
}

static int sv_map(struct ptkit_table *table, uint64_t iova, uint64_t pa, uint64_t length, uint32_t protection,
	uint64_t *mapped)
{
	struct ptkit_gather replaced = { .size = sizeof(replaced) };
	uint64_t done = 0;
	int result;

	/* Linux's order. */
	result = !length || !(protection & (PTKIT_READ | PTKIT_WRITE)) ? -EINVAL :
		pa + length - 1 < pa || (pa + length - 1) >> OUTPUT_BITS ? -ERANGE :
		iova + length - 1 < iova ? -EOVERFLOW :
		(iova | pa | length) % item_size(0) ? -ENXIO :
		spans(table, iova, iova + length - 1) ? 0 : -ERANGE;
	while (!result && done < length) {
		uint64_t both = (iova + done) | (pa + done);
		unsigned int level = table->top_level;

		/* The largest leaf that fits. */
		while (level && (both % item_size(level) || length - done < item_size(level)))
			level--;
		result = map_leaf(table, iova + done, leaf_word(pa + done, protection), level, &replaced);
		done += result ? 0 : item_size(level);
	}
	sv_sync(table, &replaced);
	if (mapped)
		*mapped = done;
	else if (result && done)
		sv_unmap(table, iova, done, NULL);
	return result;
}

static int sv_iova_to_phys(struct ptkit_table *table, uint64_t iova, uint64_t *pa)
{
	uint64_t word = table_word(table->root);
	unsigned int level = table->top_level + 1;

	while (spans(table, iova, iova) && is_pointer(word))
		word = __atomic_load_n(entry(table, address(word), --level, iova), __ATOMIC_ACQUIRE);
	if (is_pointer(word) || !(word & WORD_V))
		return -ENOENT;
	*pa = address(word) | iova % item_size(level);
	return 0;
}

static unsigned int sv_roots(struct ptkit_table *table, struct ptkit_root roots[PTKIT_MAX_ROOTS])
{
	roots[0] = (struct ptkit_root){ .physical = table->root, .level = table->top_level };
	return 1;
}

static void release_all(struct ptkit_table *table, uint64_t physical, unsigned int level)
{
	uint64_t *words = ptkit_phys_to_virt(table->memory, physical);

	for (unsigned int index = 0; level && index < TABLE_WORDS; index++)
		if (is_pointer(words[index]))
			release_all(table, address(words[index]), level - 1);
	table->memory->release(table->memory->context, physical, PAGE_LOG2);
}

static void sv_destroy(struct ptkit_table *table)
{
	release_all(table, table->root, table->top_level);
	free(table);
}

/* Takes `va`; of the kit's other keys for riscv64, refuses the values that would change something. */
static int sv_create(const char *text, const struct ptkit_memory *memory, struct ptkit_table **made, char *message,
	size_t message_bytes)
{
	const char *va = strstr(text, "va="), *features = strstr(text, "features=");
	int bits = va ? atoi(va + 3) : 48;
	struct ptkit_table *table;

	if ((bits != 39 && bits != 48 && bits != 57) || (features && !strstr(features, "sign_extend")) ||
		strstr(text, "svnapot") || strstr(text, "svpbmt") || strstr(text, "incoherent")) {
		snprintf(message, message_bytes, "this example has va=39, 48 or 57, and of features only sign_extend");
		return -EOPNOTSUPP;
	}
	table = calloc(1, sizeof(*table));
	if (!table || !memory->allocate(memory->context, PAGE_LOG2, &table->root)) {
		free(table);
		return -ENOMEM;
	}
	table->memory = memory;
	table->top_level = (bits - PAGE_LOG2) / LEVEL_BITS - 1;
	*made = table;
	return 0;
}

static const char *const configurations[] = { "riscv64:va=39", "riscv64:va=48", "riscv64:va=57", NULL };
static const struct ptkit_format format = {
	.size = sizeof(format), .name = "riscv64", .behaviour = "own", .configurations = configurations };
static const struct ptkit_format *const formats[] = { &format, NULL };
static const struct ptkit_implementation implementation = {
	.size = sizeof(implementation), .abi_version = PTKIT_ABI_VERSION, .name = "example: Sv39 to Sv57",
	.formats = formats, .create = sv_create, .destroy = sv_destroy, .map = sv_map, .unmap = sv_unmap, .sync = sv_sync,
	.iova_to_phys = sv_iova_to_phys, .roots = sv_roots };

const struct ptkit_implementation *ptkit_implementation(uint32_t abi_version)
{
	return abi_version == PTKIT_ABI_VERSION ? &implementation : NULL;
}
