// What Swift's importer cannot take from the kernel's headers: function-like macros, variadic ioctls, and constants newer
// than the distribution's headers. Every symbol begins with `martlet_`. Functions return a value >= 0, or -errno.
#ifndef MARTLET_CLINUX_H
#define MARTLET_CLINUX_H

#include "martlet_bpf.h"
#include "martlet_doctor.h"
#include "martlet_fault.h"
#include "martlet_netlink.h"
#include "martlet_packet.h"
#include "martlet_relay.h"
#include "martlet_tap.h"
#include "martlet_thread.h"
#include "martlet_uring.h"

#endif
