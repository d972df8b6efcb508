// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes the system calls that a host asks for. As process 1 of a virtual machine it mounts what tests look at and serves on
 * the console; as any other process it serves on its standard input and output.
 *
 * A frame, both ways: "\1PTK", length and checksum (FNV-1a, 32 bits) of the payload, the payload. Numbers are little
 * endian. A request is its number (32 bits), the operation (8 bits) and arguments; an answer is the number, a result
 * (64 bits; negative is an error number) and bytes. What stands between frames is the kernel's log. docs/lab.md lists the
 * operations; Sources/Lab/AgentMachine.swift is the other side.
 */
#include "system.h"

enum { LIMIT = 1 << 16, ROOM = 64, LOG = 1 << 20, WORDS = 1 << 17 };
enum { E_IO = 5, E_FAULT = 14, E_INVALID = 22, E_NOSYS = 38, E_MESSAGE = 74 };

static uint64_t words[WORDS];
static uint8_t request[LIMIT], answer[LIMIT + ROOM], kernel_log[LOG];
static uint32_t request_length, taken, answer_length;
static int input = 0, output = 1, is_cut;
static long log_length;

void *memcpy(void *to, const void *from, unsigned long count)
{
	for (unsigned long i = 0; i < count; i++)
		((volatile uint8_t *)to)[i] = ((const uint8_t *)from)[i];
	return to;
}

void *memset(void *to, int value, unsigned long count)
{
	for (unsigned long i = 0; i < count; i++)
		((volatile uint8_t *)to)[i] = value;
	return to;
}

/* Arguments: one that is not there reads as zero, and the request is refused. */
static uint64_t take(unsigned bytes)
{
	uint64_t value = 0;

	if (request_length - taken < bytes) {
		is_cut = 1;
		return 0;
	}
	memcpy(&value, request + taken, bytes);
	taken += bytes;
	return value;
}

static char *take_text(void)
{
	uint32_t length = take(2);
	char *text = (char *)request + taken;

	if (is_cut || request_length - taken <= length || text[length]) {
		is_cut = 1;
		return "";
	}
	taken += length + 1;
	return text;
}

static void give(const void *bytes, uint32_t count)
{
	if (LIMIT + ROOM - answer_length < count)
		count = LIMIT + ROOM - answer_length;
	memcpy(answer + answer_length, bytes, count);
	answer_length += count;
}

static uint32_t checksum(const uint8_t *bytes, uint32_t count)
{
	uint32_t sum = 2166136261u;

	for (uint32_t i = 0; i < count; i++)
		sum = (sum ^ bytes[i]) * 16777619u;
	return sum;
}

/* How many bytes an answer may still take. */
static uint64_t room(uint64_t wanted)
{
	return wanted < LIMIT / 2 ? wanted : LIMIT / 2;
}

/* Whether memory of this process is mapped there; what is not would end the machine. */
static int is_mapped(uint64_t address, uint64_t count)
{
	uint64_t first = address & ~4095ull, last = (address + count + 4095) & ~4095ull;
	uint8_t present[32];

	if (count == 0 || last <= first || last - first > sizeof(present) * 4096)
		return 0;
	return call(mincore, first, last - first, present) == 0;
}

static long allocate(uint64_t count, uint64_t page)
{
	/* MAP_PRIVATE | MAP_ANONYMOUS, and with MAP_HUGETLB the size's log2 from bit 26 on. */
	long flags = 0x22, is_huge = page > 4096, address, error;

	if (is_huge)
		flags |= 0x40000 | (long)__builtin_ctzll(page) << 26;
	address = call(mmap, 0, count, 3, flags, -1, 0);
	if (address < 0 && address > -4096)
		return address;
	/* MADV_NOHUGEPAGE: pages of the size that was asked for. */
	if (!is_huge)
		call(madvise, address, count, 15);
	error = call(mlock, address, count);
	if (error) {
		call(munmap, address, count);
		return error;
	}
	return address;
}

static long load_register(uint64_t address, unsigned width)
{
	uint64_t value;

	if (!is_mapped(address, width))
		return -E_FAULT;
	switch (width) {
	case 1: value = *(volatile uint8_t *)address; break;
	case 2: value = *(volatile uint16_t *)address; break;
	case 4: value = *(volatile uint32_t *)address; break;
	case 8: value = *(volatile uint64_t *)address; break;
	default: return -E_INVALID;
	}
	give(&value, 8);
	return 0;
}

static long store_register(uint64_t value, uint64_t address, unsigned width)
{
	if (!is_mapped(address, width))
		return -E_FAULT;
	switch (width) {
	case 1: *(volatile uint8_t *)address = value; break;
	case 2: *(volatile uint16_t *)address = value; break;
	case 4: *(volatile uint32_t *)address = value; break;
	case 8: *(volatile uint64_t *)address = value; break;
	default: return -E_INVALID;
	}
	return 0;
}

static long load_memory(uint64_t address, uint64_t count)
{
	count = room(count);
	if (!is_mapped(address, count))
		return -E_FAULT;
	give((const void *)address, count);
	return count;
}

static long store_memory(uint64_t address)
{
	uint32_t count = request_length - taken;

	if (!is_mapped(address, count))
		return -E_FAULT;
	memcpy((void *)address, request + taken, count);
	return count;
}

static long insert_module(const char *path, const char *parameters)
{
	long file = call(openat, -100, path, 02000000, 0), result;
	unsigned end = 0;

	if (file < 0)
		return file;
	while (path[end])
		end++;
	/* MODULE_INIT_COMPRESSED_FILE for a name that does not end in "ko" */
	result = call(finit_module, file, parameters, end > 1 && path[end - 1] == 'o' ? 0 : 4);
	call(close, file);
	return result;
}

static uint64_t now(void)
{
	uint64_t time[2] = { 0, 0 };

	call(clock_gettime, 1, time);
	return time[0] * 1000000000ull + time[1];
}

/* An ioctl that a sweep repeats; bytes are those of the first round. */
struct step {
	int32_t descriptor;
	uint64_t request, stride, expected;
	uint32_t moving, expected_offset, has_expected, count;
	const uint8_t *bytes;
};

static int take_step(struct step *step)
{
	step->descriptor = take(4);
	step->request = take(8);
	step->moving = take(4);
	step->stride = take(8);
	step->has_expected = take(1);
	step->expected_offset = take(4);
	step->expected = take(8);
	step->count = take(2);
	step->bytes = request + taken;
	if (is_cut || request_length - taken < step->count || step->count > 256 || step->count < 8 ||
	    step->moving > step->count - 8 || step->expected_offset > step->count - 8)
		return 0;
	taken += step->count;
	return 1;
}

/* Returns 0, an error number, or 1 for a result that was not expected. */
static long make_step(const struct step *step, uint64_t round)
{
	uint8_t bytes[256] __attribute__((aligned(8)));
	uint64_t value;
	long result;

	__builtin_memcpy(bytes, step->bytes, step->count);
	__builtin_memcpy(&value, bytes + step->moving, 8);
	value += step->stride * round;
	__builtin_memcpy(bytes + step->moving, &value, 8);
	result = call(ioctl, step->descriptor, step->request, bytes);
	if (result < 0)
		return result;
	__builtin_memcpy(&value, bytes + step->expected_offset, 8);
	return step->has_expected && value != step->expected;
}

static long sweep(void)
{
	struct step steps[8];
	uint64_t count = take(8), round = 0, start;
	uint32_t each = 0, number = take(1);
	int32_t failed = -1, error = 0;
	long result;

	if (number > 8)
		return -E_INVALID;
	for (each = 0; each < number; each++)
		if (!take_step(&steps[each]))
			return -E_INVALID;
	start = now();
	for (; round < count && failed < 0; round += failed < 0)
		for (each = 0; each < number && failed < 0; each++) {
			result = make_step(&steps[each], round);
			if (result) {
				failed = each;
				error = result < 0 ? -result : 0;
			}
		}
	start = now() - start;
	give(&round, 8);
	give(&failed, 4);
	give(&error, 4);
	give(&start, 8);
	return 0;
}

static long read_log(uint64_t offset)
{
	/* SYSLOG_ACTION_READ_ALL */
	if (offset == 0)
		log_length = call(syslog, 3, kernel_log, LOG);
	if (log_length < 0 || offset > (uint64_t)log_length)
		return log_length < 0 ? log_length : 0;
	give(kernel_log + offset, room(log_length - offset));
	return room(log_length - offset);
}

/*
 * Words of a file as runs: the first, what is added for each further one, how many. The line is slow, and the page numbers of a
 * huge page are one run.
 */
static long read_runs(int file, uint64_t offset, uint64_t count)
{
	long got = call(pread64, file, words, count < sizeof(words) ? count : sizeof(words), offset);
	uint32_t number = got > 0 ? got / 8 : 0, start = 0, length;

	for (; start < number && answer_length < LIMIT / 2; start += length) {
		uint64_t stride = start + 1 < number ? words[start + 1] - words[start] : 0;

		length = start + 1 < number ? 2 : 1;
		while (start + length < number && words[start + length] - words[start + length - 1] == stride)
			length++;
		give(&words[start], 8);
		give(&stride, 8);
		give(&length, 4);
	}
	return got < 0 ? got : start * 8;
}

static long file_operation(unsigned operation)
{
	int32_t file;
	uint64_t count, offset;
	long result, has_offset;
	char *path;

	switch (operation) {
	case 1:
		path = take_text();
		return is_cut ? 0 : call(openat, -100, path, (take(1) & 3) | 02000000, 0);
	case 2:
		return call(close, (int32_t)take(4));
	case 3:
		file = take(4), has_offset = take(1), offset = take(8), count = room(take(4));
		result = has_offset ? call(pread64, file, answer + answer_length, count, offset)
				    : call(read, file, answer + answer_length, count);
		answer_length += result > 0 ? result : 0;
		return result;
	case 4:
		file = take(4), has_offset = take(1), offset = take(8), count = request_length - taken;
		return has_offset ? call(pwrite64, file, request + taken, count, offset)
				  : call(write, file, request + taken, count);
	case 5:
		file = take(4), offset = take(8);
		return call(ioctl, file, offset, take(8));
	case 6:
		file = take(4), offset = take(8), count = request_length - taken;
		if (is_cut)
			return 0;
		/* The kernel may use more than the structure's bytes if they lie about its size. */
		memcpy(answer + answer_length, request + taken, count);
		result = call(ioctl, file, offset, answer + answer_length);
		answer_length += count;
		return result;
	case 7:
		result = call(getdents64, (int32_t)take(4), answer + answer_length, LIMIT / 2);
		answer_length += result > 0 ? result : 0;
		return result;
	case 8:
		path = take_text();
		result = call(readlinkat, -100, path, answer + answer_length, 4096);
		answer_length += result > 0 ? result : 0;
		return result;
	default:
		path = take_text();
		return call(faccessat, -100, path, 0);
	}
}

static long memory_operation(unsigned operation)
{
	uint64_t first, second, third;

	switch (operation) {
	case 10:
		first = take(8);
		return allocate(first, take(8));
	case 11:
		first = take(4), second = take(8), third = take(8);
		return call(mmap, 0, third, 3, 1, (int32_t)first, second);
	case 12:
		first = take(8);
		return call(munmap, first, take(8));
	case 13:
		first = take(8);
		return load_memory(first, take(4));
	case 14:
		return store_memory(take(8));
	case 15:
		first = take(8);
		return load_register(first, take(1));
	default:
		first = take(8), second = take(8);
		return store_register(first, second, take(1));
	}
}

static long system_operation(unsigned operation)
{
	char names[6][65];
	uint64_t number, offset;
	char *first, *second;
	long result;

	switch (operation) {
	case 0:
		result = call(uname, names);
		give(names[2], 65);
		give(names[4], 65);
		return result;
	case 17:
		first = take_text(), second = take_text();
		return is_cut ? 0 : insert_module(first, second);
	case 18:
		first = take_text();
		/* O_NONBLOCK: a module in use is refused, and not waited for. */
		return is_cut ? 0 : call(delete_module, first, 04000);
	case 19:
		return sweep();
	case 20:
		return read_log(take(8));
	case 21:
		/* LINUX_REBOOT_CMD_POWER_OFF */
		return call(getpid, 0) == 1 ? call(reboot, 0xfee1dead, 672274793, 0x4321fedc, 0) : -E_NOSYS;
	case 22:
		first = take_text(), second = take_text();
		if (is_cut)
			return 0;
		call(mkdirat, -100, second, 0755);
		return call(mount, first, second, first, 0, 0);
	case 24:
		number = take(4), offset = take(8);
		return read_runs(number, offset, take(4));
	case 23:
		first = take_text();
		return is_cut ? 0 : call(umount2, first, 0);
	default:
		return -E_NOSYS;
	}
}

static void write_all(const uint8_t *bytes, uint32_t count)
{
	while (count) {
		long written = call(write, output, bytes, count);

		if (written <= 0 && written != -4)
			call(exit_group, 1);
		if (written > 0)
			bytes += written, count -= written;
	}
}

/* An answer: its head has twelve bytes of frame, then the number and the result, which are there from the start. */
static void send(uint32_t number, int64_t result)
{
	uint32_t length = answer_length - 12, sum;

	memcpy(answer, "\1PTK", 4);
	memcpy(answer + 12, &number, 4);
	memcpy(answer + 16, &result, 8);
	memcpy(answer + 4, &length, 4);
	sum = checksum(answer + 12, length);
	memcpy(answer + 8, &sum, 4);
	write_all(answer, answer_length);
}

static void read_all(uint8_t *bytes, uint32_t count)
{
	while (count) {
		long got = call(read, input, bytes, count);

		if (got <= 0 && got != -4)
			call(exit_group, got == 0 ? 0 : 1);
		if (got > 0)
			bytes += got, count -= got;
	}
}

static int receive(void)
{
	uint32_t head[3], sum;
	uint8_t *bytes = (uint8_t *)head;

	read_all(bytes, 12);
	/* Whatever stands before a frame is passed by. */
	while (bytes[0] != 1 || bytes[1] != 'P' || bytes[2] != 'T' || bytes[3] != 'K') {
		for (int i = 0; i < 11; i++)
			bytes[i] = bytes[i + 1];
		read_all(bytes + 11, 1);
	}
	if (head[1] > LIMIT || head[1] < 5)
		return 0;
	read_all(request, head[1]);
	sum = checksum(request, head[1]);
	request_length = head[1];
	taken = is_cut = 0;
	return sum == head[2];
}

static void mount_all(void)
{
	static const char *const places[][2] = {
		{ "proc", "/proc" }, { "sysfs", "/sys" }, { "devtmpfs", "/dev" }, { "debugfs", "/sys/kernel/debug" },
	};

	for (unsigned i = 0; i < 4; i++) {
		call(mkdirat, -100, places[i][1], 0755);
		call(mount, places[i][0], places[i][1], places[i][0], 0, 0);
	}
}

/* The console as a line of plain bytes, which the kernel leaves alone but for its last words. */
static void open_console(void)
{
	struct { uint32_t in, out, control, local; uint8_t line, characters[19]; } settings;

	input = output = call(openat, -100, "/dev/console", 2, 0);
	/* TCGETS, TCSETSF */
	call(ioctl, input, 0x5401, &settings);
	settings.in = settings.out = settings.local = 0;
	settings.control |= 0x80 | 0x30;
	settings.characters[6] = 1;
	settings.characters[5] = 0;
	/* SYSLOG_ACTION_CONSOLE_LEVEL: emergencies only */
	call(syslog, 8, 0, 1);
	call(ioctl, input, 0x5404, &settings);
}

__attribute__((used)) void run(void)
{
	if (call(getpid, 0) == 1) {
		mount_all();
		open_console();
	}
	/* The first answer has no request: it says that the agent is there. */
	answer_length = 24;
	send(0, 0);
	for (;;) {
		int is_whole = receive();
		uint32_t number = is_whole ? take(4) : 0, operation = is_whole ? take(1) : 255;
		long result;

		answer_length = 24;
		if (!is_whole)
			result = -E_MESSAGE;
		else if (operation >= 1 && operation <= 9)
			result = file_operation(operation);
		else if (operation >= 10 && operation <= 16)
			result = memory_operation(operation);
		else
			result = system_operation(operation);
		if (is_cut)
			result = -E_MESSAGE;
		send(number, result);
	}
}

__asm__(".text\n.globl _start\n" ENTRY);
