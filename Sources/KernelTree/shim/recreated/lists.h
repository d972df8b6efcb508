/* SPDX-License-Identifier: GPL-2.0-only */
/* Doubly linked rings with a head of their own (linux/list.h). */
#ifndef KSRC_LISTS_H
#define KSRC_LISTS_H

#define LIST_HEAD_INIT(name) { &(name), &(name) }
#define LIST_HEAD(name) struct list_head name = LIST_HEAD_INIT(name)

static inline void INIT_LIST_HEAD(struct list_head *head) { head->next = head->prev = head; }
static inline int list_empty(const struct list_head *head) { return head->next == head; }

static inline void ksrc_list_insert(struct list_head *before, struct list_head *first, struct list_head *last,
	struct list_head *after)
{
	before->next = first;
	first->prev = before;
	last->next = after;
	after->prev = last;
}

static inline void list_add(struct list_head *entry, struct list_head *head)
{
	ksrc_list_insert(head, entry, entry, head->next);
}

static inline void list_add_tail(struct list_head *entry, struct list_head *head)
{
	ksrc_list_insert(head->prev, entry, entry, head);
}

/* A second removal faults. */
static inline void list_del(struct list_head *entry)
{
	entry->prev->next = entry->next;
	entry->next->prev = entry->prev;
	entry->next = entry->prev = NULL;
}

static inline void list_del_init(struct list_head *entry)
{
	list_del(entry);
	INIT_LIST_HEAD(entry);
}

/* `list` keeps pointing at what it gave away. */
static inline void list_splice(const struct list_head *list, struct list_head *head)
{
	if (!list_empty(list))
		ksrc_list_insert(head, list->next, list->prev, head->next);
}

static inline void list_splice_init(struct list_head *list, struct list_head *head)
{
	list_splice(list, head);
	INIT_LIST_HEAD(list);
}

static inline void list_splice_tail(const struct list_head *list, struct list_head *head)
{
	if (!list_empty(list))
		ksrc_list_insert(head->prev, list->next, list->prev, head);
}

static inline void list_splice_tail_init(struct list_head *list, struct list_head *head)
{
	list_splice_tail(list, head);
	INIT_LIST_HEAD(list);
}

static inline void list_move_tail(struct list_head *entry, struct list_head *head)
{
	list_del(entry);
	list_add_tail(entry, head);
}

#define list_entry(pointer, type, member) container_of(pointer, type, member)
#define list_first_entry(head, type, member) list_entry((head)->next, type, member)
#define list_last_entry(head, type, member) list_entry((head)->prev, type, member)
#define list_for_each(position, head) \
	for ((position) = (head)->next; (position) != (head); (position) = (position)->next)
#define list_for_each_entry(position, head, member) \
	for ((position) = list_entry((head)->next, __typeof__(*(position)), member); &(position)->member != (head); \
		(position) = list_entry((position)->member.next, __typeof__(*(position)), member))
#define list_for_each_entry_safe(position, following, head, member) \
	for ((position) = list_entry((head)->next, __typeof__(*(position)), member), \
		(following) = list_entry((position)->member.next, __typeof__(*(position)), member); \
		&(position)->member != (head); (position) = (following), \
		(following) = list_entry((following)->member.next, __typeof__(*(position)), member))

#endif
