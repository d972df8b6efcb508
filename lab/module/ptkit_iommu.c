// SPDX-License-Identifier: GPL-2.0-only
/* /dev/ptkit_iommu: see ptkit_iommu.h. */

#include <linux/fs.h>
#include <linux/iommu.h>
#include <linux/maple_tree.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/overflow.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/version.h>

#include "ptkit_iommu.h"

/* What one MAP mapped. */
struct area {
	unsigned long first, last; /* IOVAs, in bytes */
	unsigned long count;
	bool writes; /* whether the device may write to the pages */
	struct page *pages[];
};

/* An open file. */
struct session {
	struct mutex lock;
	struct pci_dev *device;
	struct iommu_group *group;
	struct iommu_domain *domain;
	struct maple_tree areas;
	int prot; /* added to every mapping */
};

static int map_pages(struct session *s, struct area *area, int prot)
{
	unsigned long from = 0, to, bytes;
	int error;

	for (; from < area->count; from = to) {
		phys_addr_t start = page_to_phys(area->pages[from]);

		for (to = from + 1; to < area->count; to++)
			if (page_to_phys(area->pages[to]) != start + ((to - from) << PAGE_SHIFT))
				break;
		bytes = (to - from) << PAGE_SHIFT;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
		error = iommu_map(s->domain, area->first + (from << PAGE_SHIFT), start, bytes, prot, GFP_KERNEL_ACCOUNT);
#else
		error = iommu_map(s->domain, area->first + (from << PAGE_SHIFT), start, bytes, prot);
#endif
		if (error) {
			if (from)
				iommu_unmap(s->domain, area->first, from << PAGE_SHIFT);
			return error;
		}
	}
	return 0;
}

/* Whether a range of bytes is one that can be mapped or unmapped. */
static bool is_range(struct session *s, u64 start, u64 length)
{
	u64 page = max_t(u64, PAGE_SIZE, 1ULL << __ffs(s->domain->pgsize_bitmap));
	u64 last;

	return length && !((start | length) & (page - 1)) && !check_add_overflow(start, length - 1, &last);
}

static long do_map(struct session *s, struct ptkit_iommu_map *arg)
{
	unsigned long count = arg->length >> PAGE_SHIFT;
	unsigned int pin = FOLL_LONGTERM | (arg->prot & PTKIT_IOMMU_WRITE ? FOLL_WRITE : 0);
	int prot = s->prot, pinned;
	struct area *area;
	long error;

	if (!is_range(s, arg->iova, arg->length) || !is_range(s, arg->address, arg->length) ||
	    count > (INT_MAX - sizeof(*area)) / sizeof(*area->pages) ||
	    !arg->prot || arg->prot & ~(PTKIT_IOMMU_READ | PTKIT_IOMMU_WRITE) || arg->flags)
		return -EINVAL;
	area = kvzalloc(struct_size(area, pages, count), GFP_KERNEL);
	if (!area)
		return -ENOMEM;
	area->first = arg->iova;
	area->last = arg->iova + arg->length - 1;
	area->count = count;
	area->writes = arg->prot & PTKIT_IOMMU_WRITE;
	error = mtree_insert_range(&s->areas, area->first, area->last, area, GFP_KERNEL);
	if (error)
		goto free;

	pinned = pin_user_pages_fast(arg->address, count, pin, area->pages);
	error = pinned < 0 ? pinned : pinned < count ? -EFAULT : 0;
	if (error)
		goto unpin;
	prot |= (arg->prot & PTKIT_IOMMU_READ ? IOMMU_READ : 0) | (arg->prot & PTKIT_IOMMU_WRITE ? IOMMU_WRITE : 0);
	error = map_pages(s, area, prot);
	if (!error)
		return 0;
unpin:
	if (pinned > 0)
		unpin_user_pages(area->pages, pinned);
	mtree_erase(&s->areas, area->first);
free:
	kvfree(area);
	return error;
}

/* Removes the areas in a range; returns how many bytes the IOMMU's driver says it unmapped. */
static u64 unmap_areas(struct session *s, unsigned long first, unsigned long last)
{
	unsigned long index = first;
	struct area *area;
	u64 all = 0, unmapped;

	while ((area = mt_find(&s->areas, &index, last))) {
		unsigned long length = area->last - area->first + 1;
		/* Behind an area that ends with the last IOVA, the index is 0 again. */
		bool is_end = area->last >= last;

		unmapped = iommu_unmap(s->domain, area->first, length);
		all += unmapped;
		/* The device may still write to pages that stayed mapped: they are never given back. */
		if (unmapped == length)
			unpin_user_pages_dirty_lock(area->pages, area->count, area->writes);
		else
			pr_err("ptkit_iommu: %llu of %lu bytes unmapped at %lx\n", unmapped, length, area->first);
		mtree_erase(&s->areas, area->first);
		kvfree(area);
		if (is_end)
			break;
		cond_resched();
	}
	return all;
}

static long do_unmap(struct session *s, struct ptkit_iommu_unmap *arg)
{
	unsigned long index = arg->iova, last = arg->iova + arg->length - 1;
	struct area *area;

	if (!is_range(s, arg->iova, arg->length))
		return -EINVAL;
	/* Only the first and the last can reach over an end. */
	area = mt_find(&s->areas, &index, last);
	if (area && area->first < arg->iova)
		return -EINVAL;
	area = mtree_load(&s->areas, last);
	if (area && area->last > last)
		return -EINVAL;
	arg->unmapped = unmap_areas(s, arg->iova, last);
	return 0;
}

static long do_attach(struct session *s, struct ptkit_iommu_attach *arg)
{
	unsigned int domain, bus, slot, function;
	struct pci_dev *device;
	char end;
	long error;

	if (s->device)
		return -EBUSY;
	if (strnlen(arg->device, sizeof(arg->device)) == sizeof(arg->device) ||
	    sscanf(arg->device, "%x:%x:%x.%x%c", &domain, &bus, &slot, &function, &end) != 4 || bus > 255 ||
	    slot > 31 || function > 7)
		return -EINVAL;
	device = pci_get_domain_bus_and_slot(domain, bus, PCI_DEVFN(slot, function));
	if (!device)
		return -ENODEV;
	s->group = iommu_group_get(&device->dev);
	error = -ENODEV;
	if (!s->group)
		goto put_device;
	error = iommu_device_claim_dma_owner(&device->dev, s);
	if (error)
		goto put_group;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)
	s->domain = iommu_paging_domain_alloc(&device->dev);
	error = PTR_ERR_OR_ZERO(s->domain);
#else
	s->domain = iommu_domain_alloc(&pci_bus_type);
	error = s->domain ? 0 : -ENOMEM;
#endif
	if (error)
		goto release;
	error = iommu_attach_group(s->domain, s->group);
	if (error)
		goto free;
	error = pci_enable_device(device);
	if (error)
		goto detach;
	pci_set_master(device);
	s->prot = device_iommu_capable(&device->dev, IOMMU_CAP_CACHE_COHERENCY) ? IOMMU_CACHE : 0;
	s->device = device;
	return 0;
detach:
	iommu_detach_group(s->domain, s->group);
free:
	iommu_domain_free(s->domain);
release:
	iommu_device_release_dma_owner(&device->dev);
put_group:
	iommu_group_put(s->group);
put_device:
	pci_dev_put(device);
	return error;
}

static long do_info(struct session *s, struct ptkit_iommu_info *arg)
{
	arg->pgsize_bitmap = s->domain->pgsize_bitmap;
	arg->aperture_first = s->domain->geometry.aperture_start;
	arg->aperture_last = s->domain->geometry.aperture_end;
	arg->flags = s->prot & IOMMU_CACHE ? PTKIT_IOMMU_COHERENT : 0;
	arg->reserved = 0;
	return 0;
}

static long ptkit_iommu_ioctl(struct file *file, unsigned int request, unsigned long address)
{
	struct session *s = file->private_data;
	void __user *user = (void __user *)address;
	union {
		struct ptkit_iommu_attach attach;
		struct ptkit_iommu_info info;
		struct ptkit_iommu_map map;
		struct ptkit_iommu_unmap unmap;
		struct ptkit_iommu_phys phys;
	} arg = {};
	long error;

	if (_IOC_TYPE(request) != 'P' || _IOC_SIZE(request) > sizeof(arg))
		return -ENOTTY;
	if (_IOC_DIR(request) & _IOC_WRITE && copy_from_user(&arg, user, _IOC_SIZE(request)))
		return -EFAULT;
	mutex_lock(&s->lock);
	if (request != PTKIT_IOMMU_ATTACH && !s->device) {
		error = -ENODEV;
		goto unlock;
	}
	switch (request) {
	case PTKIT_IOMMU_ATTACH:
		error = do_attach(s, &arg.attach);
		break;
	case PTKIT_IOMMU_INFO:
		error = do_info(s, &arg.info);
		break;
	case PTKIT_IOMMU_MAP:
		error = do_map(s, &arg.map);
		break;
	case PTKIT_IOMMU_UNMAP:
		error = do_unmap(s, &arg.unmap);
		break;
	case PTKIT_IOMMU_PHYS:
		arg.phys.physical = iommu_iova_to_phys(s->domain, arg.phys.iova);
		error = 0;
		break;
	default:
		error = -ENOTTY;
	}
unlock:
	mutex_unlock(&s->lock);
	if (!error && _IOC_DIR(request) & _IOC_READ && copy_to_user(user, &arg, _IOC_SIZE(request)))
		return -EFAULT;
	return error;
}

static int ptkit_iommu_open(struct inode *inode, struct file *file)
{
	struct session *s = kzalloc(sizeof(*s), GFP_KERNEL);

	if (!s)
		return -ENOMEM;
	mutex_init(&s->lock);
	mt_init(&s->areas);
	file->private_data = s;
	return 0;
}

static int ptkit_iommu_release(struct inode *inode, struct file *file)
{
	struct session *s = file->private_data;

	if (s->device) {
		pci_clear_master(s->device);
		unmap_areas(s, 0, ULONG_MAX);
		iommu_detach_group(s->domain, s->group);
		iommu_domain_free(s->domain);
		pci_disable_device(s->device);
		iommu_device_release_dma_owner(&s->device->dev);
		iommu_group_put(s->group);
		pci_dev_put(s->device);
	}
	mtree_destroy(&s->areas);
	kfree(s);
	return 0;
}

static const struct file_operations ptkit_iommu_operations = {
	.owner = THIS_MODULE,
	.open = ptkit_iommu_open,
	.release = ptkit_iommu_release,
	.unlocked_ioctl = ptkit_iommu_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice ptkit_iommu = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "ptkit_iommu",
	.fops = &ptkit_iommu_operations,
	.mode = 0600,
};
module_misc_device(ptkit_iommu);

MODULE_DESCRIPTION("IOMMU mappings for the tests of ptkit");
MODULE_LICENSE("GPL");
