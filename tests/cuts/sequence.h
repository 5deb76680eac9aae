/* SPDX-License-Identifier: GPL-2.0-only */
/* Short sequences of events, each of them to be cut everywhere. */
#ifndef CUTS_SEQUENCE_H
#define CUTS_SEQUENCE_H

#include "recording.h"

/* Fails if there is none of that name. */
void sequence_make(struct recording *r, struct random *numbers, const char *name);

#endif
