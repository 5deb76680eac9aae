/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The interface between the kernel and its users: table lines, messages and
 * status lines of the targets qbd-pool and qbd. Words and orders of fields are
 * append-only between versions. docs/target.md tells the same to people.
 *
 * Tables
 *
 *	0 <sectors> qbd-pool <#devs> <dev|->... [<#args> <arg>...]
 *		allow_degraded		start although members that are not known to
 *					be out are missing
 *		read_only
 *		force_history <tag>	which side of a split brain to keep; the tag of
 *					its newest epoch, 16 hexadecimal digits
 *		on_loss error|queue	what I/O does when too few legs are left
 *		cache_mb <n>		bound of the checksum cache
 *		standby			wait until the owner, another host, hands over
 *		take_over		no other host owns the pool, says the operator
 *		deadline <index>:<ms>	how long that backend has to answer; 0: for ever
 *		error_limit <n> <seconds>	as the messages
 *		hold_off <seconds>
 *		slow_factor <n>
 *		hedge=off
 *		journal_dev <dev>	one more device, a journal device of the pool; as
 *					well as here it may be among the others
 *	The order of the devices does not matter; each says in its superblock which
 *	backend it is. I/O to the pool device fails.
 *
 *	0 <sectors> qbd <pool dev> <volume name or number> [<#args> <arg>...]
 *		read_only
 *
 * Messages to the pool device
 *
 *	create_volume <name> <sectors> replicas=<r>|ec=<k>+<m>
 *			[block_size=<bytes>] [tag=<tag>]
 *	remove_volume <name>
 *	fail <index>			take a backend out
 *	readd <index> <dev> [now]	let the same backend (its UUID) in again; now:
 *					although it failed again and again. Or, if it
 *					fails and had to stay in, this is its device now
 *	on_loss error|queue		what I/O does when too few legs are left; what
 *					waits fails with "error"
 *	replace <index> <dev>		put an empty device in its place
 *	deadline <index> <ms>		how long a backend has to answer; 0: for ever
 *	resync start|stop
 *	resync rate <KiB/s>		0: no limit
 *	resync least <KiB/s>		beside users; 0: as slow as they need
 *	error_limit <n> <seconds>	a backend with so many reads that fail or are
 *					wrong in so many seconds goes out; 0: no limit
 *	hold_off <seconds>		a backend that failed a third time is not let in
 *					for so long, a fourth time for twice as long, ...
 *	slow_factor <n>			a backend whose reads take so many times as long
 *					as others' is slow; 0: none is
 *	hedge=on|off			reads that are late are read from others too
 *	scrub start|stop
 *	hand_over			to the host that has the pool in standby
 *	checkpoint			the journal is destaged, and all that is recorded
 *					goes into pages
 * These answer with lines of text:
 *	volumes [<from number>]
 *		<number> <name> <live|deleting> <sectors> <policy> <block size> <tag|->
 *	verify [<from number>]
 *		<number> <name> <whole> <degraded> <stale> <lost> <losses>
 *		chunks of each kind, and how many more backends may go
 *	backends
 *		<index> <uuid> <major:minor|-> <in|out> <suspect: 0|1> <out epoch>
 *		<slots> <free slots> <legs not in sync> <read errors> <write errors>
 *		<checksum errors> <blocks repaired> <deadline ms; 0: none>
 *		<requests that were not answered by then> <those still in flight>
 *		<tags|->
 *		tags have blanks, so what is added in future comes before them
 *	limits
 *		<index> <ok|slow|out> <p50 us> <p99 us> <errors> <failures> <seconds>
 *		how long its reads take lately, errors that count against its limit,
 *		how often it failed lately, for how long it is not let in
 *	volumes and verify end with a line "more <from number>" when there was no
 *	room for all.
 *
 * Status (INFO) of qbd-pool
 *
 *	<rw|ro|failed|standby> <health> <epoch number>:<tag> <pool uuid> <extent sectors>
 *	<used slots>/<slots> <volumes> <chunks> <degraded chunks>
 *	<ring blocks used>/<ring blocks> <checkpoints>
 *	resync <idle|running|stopped> <chunks done>/<chunks to do> <bytes written>
 *	scrub <idle|running|stopped> <chunks done>/<chunks to do> <bad blocks found>
 *	<blocks repaired> <blocks lost>
 *	journal <off|on|full> <rows in it> <rows destaged>
 *	lease <none|claim|owns|lost|released> <milliseconds>
 *	on_loss <error|queue> <backends that fail and stay in, a bitmap, hexadecimal>
 *	<requests that wait>
 *	hedge <on|off> <reads that were hedged> <hedges that were first>
 *	journal_devs <journal devices in>/<journal devices>
 *	reconcile <idle|running> <ranges done>/<ranges to do>
 *
 *	health: a character a backend index: A in and whole, a in with legs not in
 *	sync, K in and failing (it has to stay: a chunk or the ring needs it), S out
 *	with its device there, D out, - no such backend
 *
 * Status (INFO) of qbd
 *
 *	<ok|degraded|failed|standby> <chunks allocated>/<chunks> <degraded chunks>
 *	<lost chunks> <policy> <block size>
 */
#ifndef QBD_ABI_H
#define QBD_ABI_H

#define QBD_TARGET_POOL		"qbd-pool"
#define QBD_TARGET_VOLUME	"qbd"

#define QBD_HEALTH_WHOLE	'A'
#define QBD_HEALTH_RESYNC	'a'
#define QBD_HEALTH_KEPT		'K'
#define QBD_HEALTH_SUSPECT	'S'
#define QBD_HEALTH_OUT		'D'
#define QBD_HEALTH_NONE		'-'

#endif
