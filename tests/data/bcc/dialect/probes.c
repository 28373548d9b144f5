// Programs by the names and the parameters of their functions.
#include <uapi/linux/ptrace.h>
#include <linux/fs.h>
#include <linux/sched.h>

BPF_HISTOGRAM(sizes);

static int twice(int n)
{
	return 2 * n;
}
static inline u32 major_of(struct inode *inode)
{
	return MAJOR(inode->i_sb->s_dev);
}

int trace_read(struct pt_regs *ctx, struct file *file, char __user *buffer, size_t count, loff_t *position)
{
	struct dentry *dentry = file->f_path.dentry;
	char name[DNAME_INLINE_LEN];

	if (!S_ISREG(dentry->d_inode->i_mode) || (file->f_flags & O_NONBLOCK))
		return 0;
	bpf_probe_read_kernel_str(name, sizeof(name), dentry->d_name.name);
	sizes.increment(twice(bpf_log2l(count)) + major_of(dentry->d_inode) + name[0]);
	return 0;
}

int six(struct pt_regs *ctx, u8 a, bool b, short c, u64 d, const char *e, int (*f)(int))
{
	sizes.increment(a + b + c + d + (long)e + (long)f);
	return 0;
}

void nothing(struct pt_regs *ctx)
{
	sizes.increment(PT_REGS_PARM1(ctx) + PT_REGS_PARM6(ctx) + PT_REGS_IP(ctx) + PT_REGS_SP(ctx) + PT_REGS_FP(ctx));
}

int kprobe__vfs_write(struct pt_regs *ctx, struct file *file)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	sizes.increment(task->real_parent->tgid);
	return 0;
}

int kretprobe__vfs_write(struct pt_regs *ctx)
{
	ssize_t result = PT_REGS_RC(ctx);

	if (result > 0)
		sizes.increment(bpf_log2l(result));
	return 0;
}

int syscall__execve(struct pt_regs *ctx, const char __user *filename, const char __user *const __user *argv)
{
	char name[NAME_MAX];

	bpf_probe_read_user_str(name, sizeof(name), filename);
	sizes.increment(name[0]);
	return 0;
}

int kprobe____x64_sys_openat(struct pt_regs *ctx, int folder, const char __user *path, int flags, umode_t mode)
{
	sizes.increment(flags + mode);
	return 0;
}

int hello(void *ctx)
{
	return 0;
}

int on_sample(struct bpf_perf_event_data *ctx)
{
	sizes.increment(PT_REGS_IP(&ctx->regs) + ctx->sample_period);
	return 0;
}

RAW_TRACEPOINT_PROBE(sched_switch)
{
	struct task_struct *next = (struct task_struct *)ctx->args[2];

	sizes.increment(next->pid);
	return 0;
}

KFUNC_PROBE(vfs_read, struct file *file, char *buffer, size_t count, loff_t *position)
{
	sizes.increment(file->f_flags + count);
	return 0;
}

KRETFUNC_PROBE(vfs_read, struct file *file, char *buffer, size_t count, loff_t *position, ssize_t result)
{
	sizes.increment(result);
	return 0;
}

KFUNC_PROBE(schedule)
{
	return 0;
}

KMOD_RET(__x64_sys_close, struct pt_regs *regs)
{
	return 0;
}

LSM_PROBE(file_open, struct file *file)
{
	return 0;
}
