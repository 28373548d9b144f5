// Programs on trampolines: each is for something that the kernel knows by its types.

BPF_HASH(counts, u32);
BPF_INODE_STORAGE(of_inodes, u64);
BPF_TASK_STORAGE(of_tasks, u64);

KFUNC_PROBE(vfs_read, struct file *file, char *buffer, size_t count)
{
	u64 *reads = of_tasks.task_storage_get(bpf_get_current_task_btf(), NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (reads)
		*reads += count;
	return 0;
}

KRETFUNC_PROBE(vfs_read, struct file *file, char *buffer, size_t count, loff_t *position, ssize_t result)
{
	if (result < 0)
		of_tasks.task_storage_delete(bpf_get_current_task_btf());
	return 0;
}

KMOD_RET(security_file_open, struct file *file)
{
	counts.increment(file->f_flags);
	return 0;
}

LSM_PROBE(file_open, struct file *file)
{
	u64 *opened = of_inodes.inode_storage_get(file->f_inode, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (opened && ++*opened > 3)
		of_inodes.inode_storage_delete(file->f_inode);
	return 0;
}

BPF_ITER(task)
{
	struct task_struct *task = ctx->task;

	if (task)
		counts.increment(task->tgid);
	return 0;
}
