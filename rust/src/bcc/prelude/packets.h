/* Packets: their bytes by offset, as the network orders them, and members of headers. */

unsigned long long __rtrace_load_byte(void *skb, unsigned long long offset) asm("llvm.bpf.load.byte");
unsigned long long __rtrace_load_half(void *skb, unsigned long long offset) asm("llvm.bpf.load.half");
unsigned long long __rtrace_load_word(void *skb, unsigned long long offset) asm("llvm.bpf.load.word");
#define load_byte(skb, offset) __rtrace_load_byte((void *)(skb), (unsigned long)(offset))
#define load_half(skb, offset) __rtrace_load_half((void *)(skb), (unsigned long)(offset))
#define load_word(skb, offset) __rtrace_load_word((void *)(skb), (unsigned long)(offset))
#define load_dword(skb, offset) (((u64)load_word(skb, offset) << 32) | load_word(skb, (unsigned long)(offset) + 4))
#define cursor_advance(cursor, bytes) \
	({ \
		void *__rtrace_before = (cursor); \
		(cursor) += (bytes); \
		__rtrace_before; \
	})
#define incr_cksum_l3(skb, offset, from, to) bpf_l3_csum_replace((void *)(skb), (offset), (from), (to), sizeof(u16))
#define incr_cksum_l4(skb, offset, from, to, pseudo) \
	bpf_l4_csum_replace((void *)(skb), (offset), (from), (to), ((pseudo) ? 0x10 : 0) | sizeof(u16))

/* A function that gets a socket buffer has it in a variable of this name, which rtrace puts in: a pointer to a header is
 * an offset there. In others, those for XDP, it is an address. */
enum { __rtrace_packet };
#define __rtrace_buffer() \
	_Generic((__rtrace_packet), struct __sk_buff *: (__rtrace_packet), default: (struct __sk_buff *)0)
#define __rtrace_has_buffer() _Generic((__rtrace_packet), struct __sk_buff *: 1, default: 0)

/* Beyond the end of a packet a socket buffer ends the program, which returns 0 then. */
static __rtrace_method u64 __rtrace_packet_bytes(struct __sk_buff *skb, int is_offset, unsigned long at, u32 bytes)
{
	struct __rtrace_half {
		u16 value;
	} __packed;
	struct __rtrace_word {
		u32 value;
	} __packed;
	u64 value = 0;
	_Pragma("unroll") for (u32 i = 0; i < bytes / 4; i++, at += 4)
		value = value << 32 | (is_offset ? load_word(skb, at) : ntohl(((struct __rtrace_word *)at)->value));
	if (bytes & 2) {
		value = value << 16 | (is_offset ? load_half(skb, at) : ntohs(((struct __rtrace_half *)at)->value));
		at += 2;
	}
	if (bytes & 1)
		value = value << 8 | (is_offset ? load_byte(skb, at) : *(u8 *)at);
	return value;
}

/* Read `bits` bits, the first of them `first` bits behind `at`. */
static __rtrace_method u64 __rtrace_packet_get(struct __sk_buff *skb, int is_offset, unsigned long at, u32 first, u32 bits)
{
	u32 before = first & 7, bytes = (before + bits + 7) / 8, whole = bytes > 8 ? 8 : bytes;
	u64 value;
	at += first / 8;
	value = __rtrace_packet_bytes(skb, is_offset, at, whole) << (64 - 8 * whole) << before;
	if (bytes > 8)
		value |= __rtrace_packet_bytes(skb, is_offset, at + 8, 1) >> (8 - before);
	return value >> (64 - bits);
}

static __rtrace_method void __rtrace_packet_set(struct __sk_buff *skb, int is_offset, unsigned long at, u32 first,
						u32 bits, u64 value)
{
	u32 before = first & 7, bytes = (before + bits + 7) / 8;
	u8 copy[9], *there = is_offset ? copy : (u8 *)at + first / 8;
	at += first / 8;
	/* What is in the same bytes stays. */
	if (is_offset && ((before | bits) & 7) && bpf_skb_load_bytes(skb, at, copy, bytes))
		return;
	_Pragma("unroll") for (u32 i = 0; i < bytes; i++)
	{
		int right = (int)(before + bits) - 8 * (int)(i + 1);
		u8 mask = (i ? 0xff : 0xff >> before) & (right < 0 ? 0xff << -right : 0xff);
		u8 part = right < 0 ? value << -right : value >> right;
		there[i] = (there[i] & ~mask) | (part & mask);
	}
	if (is_offset)
		bpf_skb_store_bytes(skb, at, copy, bytes, 0);
}

/* Where a member is, from a header in which it alone is not 0: constants that the compiler computes with. */
#define __rtrace_place(pointer, name) \
	typedef __typeof__(*__rtrace_header(pointer)) __rtrace_type; \
	enum { __rtrace_words = (sizeof(__rtrace_type) + 7) / 8 }; \
	static const union { \
		__rtrace_type of; \
		u64 words[__rtrace_words]; \
	} __rtrace_ones = { .of = { .name = -1 } }; \
	u32 __rtrace_first = __rtrace_first_bit(__rtrace_ones.words, __rtrace_words); \
	u32 __rtrace_width = __rtrace_bits(__rtrace_ones.words, __rtrace_words);
static __rtrace_method u32 __rtrace_first_bit(const u64 *words, u32 count)
{
	u32 first = 0;
	_Pragma("unroll") for (u32 i = 0; i < count; i++)
	{
		u32 word = count - 1 - i;
		if (words[word])
			first = 64 * word + __builtin_ctzll(words[word]);
	}
	return first;
}
static __rtrace_method u32 __rtrace_bits(const u64 *words, u32 count)
{
	u32 bits = 0;
	_Pragma("unroll") for (u32 i = 0; i < count; i++)
		bits += __builtin_popcountll(words[i]);
	return bits;
}

#define __rtrace_get_bits(pointer, name) \
	({ \
		__rtrace_place(pointer, name) (__typeof__(((__rtrace_type *)0)->name + 0)) \
			__rtrace_packet_get(__rtrace_buffer(), __rtrace_has_buffer(), (unsigned long)(pointer), \
					    __rtrace_first, __rtrace_width); \
	})
#define __rtrace_set_bits(pointer, name, value) \
	({ \
		__rtrace_place(pointer, name) __rtrace_packet_set(__rtrace_buffer(), __rtrace_has_buffer(), \
								  (unsigned long)(pointer), __rtrace_first, __rtrace_width, \
								  value); \
	})

/* What rtrace makes of `pointer->name` and `pointer->name = value`, where headers have a member of that name. */
#define __rtrace_member(pointer, name) \
	__builtin_choose_expr(__rtrace_is_header(pointer), __rtrace_get_bits(pointer, name), \
			      (pointer)->name)
/* Values that are no numbers are for members of other structs. */
#define __rtrace_number(value) \
	((u64)__builtin_choose_expr(__builtin_classify_type(value) == __builtin_classify_type(1) || \
					    __builtin_classify_type(value) == __builtin_classify_type((void *)0), \
				    (value), 0))
#define __rtrace_set_member(pointer, name, ...) \
	__builtin_choose_expr( \
		__rtrace_is_header(pointer), \
		__rtrace_set_bits(pointer, name, __rtrace_number((__VA_ARGS__))), \
		(pointer)->name = (__VA_ARGS__))
