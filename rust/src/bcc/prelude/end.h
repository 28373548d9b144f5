/* What comes behind every program. */

#ifndef BPF_LICENSE
#define BPF_LICENSE GPL
#endif
char __rtrace_license[] SEC("license") = __stringify(BPF_LICENSE);
