// SPDX-License-Identifier: GPL-2.0-only
/* A device whose reads hit random:urandom_read, as those of /dev/urandom did. */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/uaccess.h>

#define CREATE_TRACE_POINTS
#include "urandom_read.h"

static ssize_t read_device(struct file *file, char __user *to, size_t size, loff_t *position)
{
	if (clear_user(to, size))
		return -EFAULT;
	trace_urandom_read(8 * size, 0, 4096);
	return size;
}

static const struct file_operations operations = {
	.owner = THIS_MODULE,
	.read = read_device,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "rtrace_urandom",
	.fops = &operations,
};

module_misc_device(device);
MODULE_DESCRIPTION("the tracepoint random:urandom_read, for tests of rtrace");
MODULE_LICENSE("GPL");
