/* SPDX-License-Identifier: GPL-2.0-only */
/* Functions of the host that Swift does not see, for want of _GNU_SOURCE or for variable arguments. */
#ifndef PTKIT_HOST_H
#define PTKIT_HOST_H

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

int memfd_create(const char *name, unsigned int flags);
int pipe2(int ends[2], int flags);

/* A file in memory that is closed on exec. */
static inline int ptkit_memory_file(const char *name) { return memfd_create(name, 1 /* MFD_CLOEXEC */); }

static inline int ptkit_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

/* Whether a child has ended; it still has to be waited for. */
static inline int ptkit_has_ended(pid_t child)
{
	siginfo_t info;

	info.si_pid = 0;
	return waitid(P_PID, child, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == child;
}

/* This process ends with the thread that started it. */
static inline void ptkit_end_with_parent(void) { prctl(PR_SET_PDEATHSIG, SIGKILL); }

#endif
