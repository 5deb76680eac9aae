/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a device holds already, before it is given to a pool.
 */
#ifndef QBD_SIGNATURE_H
#define QBD_SIGNATURE_H

#include "device.h"

#define SIGNATURE_SIZE 160

int signature_find(const struct qbd_device *device, char text[SIGNATURE_SIZE]);
int signature_wipe(const struct qbd_device *device);

#endif
