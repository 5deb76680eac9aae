/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef QBD_NBD_H
#define QBD_NBD_H

#include <sys/types.h>

void nbd_prepare(dev_t rdev);

#endif
