/* SPDX-License-Identifier: GPL-2.0-only */
/* What must be so after a power cut. */
#ifndef CUTS_CHECK_H
#define CUTS_CHECK_H

#include "recording.h"

struct check {
	u64 seed;		/* of the cut */
	u64 absent;		/* disks that are lost with the power */
	u64 absent_again;	/* and those that are lost when it goes again */
	bool scrub;		/* and look at every checksum and all parity */
	bool lose;		/* and read without as many backends as may be lost */
	bool readmit;		/* and let in again who is out or was absent */
	unsigned int again;	/* power cuts of the recovery */
	enum model_losses hole;	/* of erasure codes, where a leg is missing */
};

/* How much was checked. */
struct check_counts {
	u64 cuts;
	u64 again;
	u64 losses;
	u64 readmitted;
	u64 scrubs;
	u64 lost_blocks;
};

extern struct check_counts check_counts;

/* The power is cut at @at, and the pool started again. */
void check_cut(struct recording *r, u64 at, const struct check *check, struct random *numbers);

#endif
