/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Moments: places in the code at which a test holds whoever comes by.
 */
#ifndef QBD_MOMENT_H
#define QBD_MOMENT_H

#ifdef CONFIG_FAULT_INJECTION_DEBUG_FS
void qbd_moments_init(void);
void qbd_moments_exit(void);
void qbd_moment(const char *name);

/* Where some come by who may not sleep: these go on. */
static inline void qbd_moment_may_sleep(const char *name)
{
	if (preemptible())
		qbd_moment(name);
}
#else
static inline void qbd_moments_init(void) {}
static inline void qbd_moments_exit(void) {}
static inline void qbd_moment(const char *name) {}
static inline void qbd_moment_may_sleep(const char *name) {}
#endif

#endif
