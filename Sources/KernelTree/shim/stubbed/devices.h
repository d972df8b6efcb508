/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Devices, buses, interrupts, user memory: what declarations of linux/iommu.h and of drivers' headers name and page
 * tables never use. Functions that must not be called are declared only, so that a call fails to link.
 */
#ifndef KSRC_DEVICES_H
#define KSRC_DEVICES_H

struct dev_iommu;
struct fwnode_handle;
struct device_node;
struct bus_type;

struct device {
	struct dev_iommu *iommu;
	void *driver_data;
};
#define dev_to_node(device) NUMA_NO_NODE
#define dev_name(device) "iommu"
static inline void *dev_get_drvdata(const struct device *device) { return device->driver_data; }

struct attribute_group;
struct module;
struct workqueue_struct;
struct work_struct {
	void (*function)(struct work_struct *work);
};
struct delayed_work {
	struct work_struct work;
};
struct wait_queue_head {
	spinlock_t lock;
};
typedef struct wait_queue_head wait_queue_head_t;
struct completion {
	unsigned int done;
};
struct notifier_block;
struct of_phandle_args;
struct dentry;
struct seq_file;
struct ida {
	int unused;
};
struct idr {
	int unused;
};
struct xarray {
	void *head;
};
struct rb_root {
	void *node;
};
struct rb_node {
	void *parent;
};
struct mmu_notifier {
	void *ops;
};
struct irq_domain;
struct irq_data;
struct irq_chip;
struct irq_cfg;
struct msi_desc;
struct msi_msg {
	u32 address_lo, address_hi, data;
};
struct ratelimit_state {
	spinlock_t lock;
};
typedef int irqreturn_t;
enum { IRQ_NONE, IRQ_HANDLED, IRQ_WAKE_THREAD };
struct irq_affinity_notify {
	void *notify;
};

struct scatterlist {
	dma_addr_t address;
	unsigned int length;
};
struct sg_table {
	struct scatterlist *sgl;
	unsigned int nents, orig_nents;
};

struct pci_bus;
struct pci_dev {
	struct pci_bus *bus;
	unsigned int devfn;
	unsigned short vendor, device;
	struct device dev;
};
#define PCI_VENDOR_ID_ATI 0x1002
#define PCI_VENDOR_ID_AMD 0x1022
#define PCI_DEVICE_ID_RD890_IOMMU 0x5a23
#define PCI_BUS_NUM(id) (((id) >> 8) & 0xff)
#define PCI_SLOT(function) (((function) >> 3) & 0x1f)
#define PCI_FUNC(function) ((function) & 7)
#define PCI_DEVID(bus, function) ((u16)((bus) << 8 | (function)))
int pci_domain_nr(struct pci_bus *bus);
u16 pci_dev_id(struct pci_dev *device);

unsigned long copy_from_user(void *to, const void *from, unsigned long bytes);
unsigned long copy_to_user(void *to, const void *from, unsigned long bytes);
int copy_struct_from_user(void *to, size_t to_bytes, const void *from, size_t from_bytes);
int copy_struct_to_user(void *to, size_t to_bytes, const void *from, size_t from_bytes, bool *ignored);

#endif
