// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writers, flush, FUA, discard, checksum records, active ranges, checkpoint, ring room, replay and
 * reconcile (kernel/write.c, flush.c, discard.c, ring.c, reconcile.c), for one active range of one chunk.
 *
 * replicas=2: BLOCKS blocks, each a unit with a cell on either leg.  -DEC, ec=2+1: one row, three units
 * d0, d1 and p, a cell each.
 *
 * A cell is a block of a backend: cur is what a read returns, maybe the set of values that may be there
 * after the backend lost power (the last flushed one and every write since, and any write in flight).
 * Data values are version numbers, new with every write to the unit, in the order of the unit's lock; so a
 * value names the write that made it.  Parity is the pair of what it was computed from: it gives d0 only to
 * one who has just that d1, which is how a code with real numbers behaves but for accidents of 2^-32.
 * vz marks the versions that are states 0..3 (holes, explicit zeros, lost): they have no content on the
 * medium.  A torn write is a version of its own.
 *
 * The crash takes the host, or host and backends, and may take a leg with it for good.  It comes between
 * any two steps, of activation too.  Flushes of several backends are one step, at the moment the first one
 * begins: a later moment for another only makes its set of values smaller.  A flush's records are one step
 * each way (appended, durable); a crash between leaves any prefix.
 *
 * The ring is one here: its members and their union are members.pml's.  LSNs are relative to the ring's
 * tail.  Checkpoint and flush may run at any time and any number of times.
 *
 * Checked when an activation ends: each unit has a value that rule 1 allows, every current leg holds it or
 * gives it, durably (so any further loss within M leaves it), and every copy of the table says so.  What is
 * read then must be read after the next crash, unless something was written in between.  And always: no
 * state in which nothing can move; a checkpoint never waits for room in the ring; at most one write of
 * a page is unflushed.
 */
/* RUN: replicas quick | -DBLOCKS=1 -DMAXW=2 -DMAXC=1 | -DCOLLAPSE | -m100000 */
/* RUN: replicas-w3c2 | -DBLOCKS=1 -DMAXW=3 -DMAXC=2 | -DCOLLAPSE | -m100000 */
/* RUN: replicas-discard quick | -DBLOCKS=1 -DMAXW=2 -DMAXC=1 -DDISCARD_IS_WRITE | -DCOLLAPSE | -m100000 */
/* RUN: replicas-b2 | -DBLOCKS=2 -DMAXW=2 -DMAXC=1 | -DCOLLAPSE | -m100000 */
/* RUN: ec quick | -DEC -DMAXW=2 -DMAXC=1 | -DCOLLAPSE | -m100000 */
/* RUN: ec-discard quick | -DEC -DMAXW=2 -DMAXC=1 -DDISCARD_IS_WRITE | -DCOLLAPSE | -m100000 */
/* RUN: ec-w2c2 | -DEC -DMAXW=2 -DMAXC=2 | -DCOLLAPSE | -m100000 */
/* RUN: ec-w3c1 | -DEC -DMAXW=3 -DMAXC=1 | -DBITSTATE | -m100000 -w33 -k3 */

/* SWITCH: RECORD_BEFORE_DATA | replicas | flush: the backends are flushed, then the records are written */
/* SWITCH: FLUSH_SKIPS_BUSY_ROWS | ec | flush: whether or not another write to the row is in flight */
/* SWITCH: FLUSH_RECORDS_NEWEST | ec | flush: the last write that was complete when the flush began */
/* SWITCH: FLUSH_APPENDS_OVERTAKEN | replicas | flush: a unit's records enter the ring in the order of its writes */
/* SWITCH: FLUSH_ACKS_OVERTAKEN | ec | flush: acknowledged after the overtaking record is durable */
/* SWITCH: FUA_NOT_ON_LEGS | replicas | a FUA write: FUA on its legs, then its records */
/* SWITCH: DATA_BEFORE_ACTIVE | replicas | active range: durable before the first data write in it */
/* SWITCH: COUNTED_AT_ISSUE | replicas | a write counts for its range before it looks whether that is active */
/* SWITCH: CHECKPOINT_FREES_ACTIVE | replicas | checkpoint: ranges with writes get a new active record */
/* SWITCH: CHECKPOINT_FORGETS_BEGUN | replicas | checkpoint: ... or begun since */
/* SWITCH: CHECKPOINT_FORGETS_WRITING | replicas | checkpoint: ranges with a write in flight when that flush began */
/* SWITCH: RENEWAL_NOT_DURABLE | replicas | checkpoint: ... durable, before LSNs <= L are freed */
/* SWITCH: CHECKPOINT_FREES_BEFORE_PAGES | replicas | checkpoint: writes the pages, flushes */
/* SWITCH: PAGES_HOLD_UNRECORDED | replicas | metadata pages hold recorded values only */
/* SWITCH: ORDINARY_USES_RESERVE | replicas-w3c2 | room: ordinary records wait before they use the reserve */
/* SWITCH: DISCARD_SPLIT | ec-w3c1 | discard: whole rows are one record */
/* SWITCH: DISCARD_BEFORE_RECORD | replicas | discard: passed down only when state and parity are durable */
/* SWITCH: DISCARD_UNLOCKED | replicas | discard: ... under the lock */
/* SWITCH: LOCK_BLOCKS_ONLY | ec | write: lock the rows */
/* SWITCH: LEGS_NOT_SETTLED | replicas | rule 6: the lowest leg's copy, for all */
/* SWITCH: NO_DECODE | ec | rule 6: any K units of the row that decode to the value */
/* SWITCH: PARITY_NOT_RECOMPUTED | ec | rule 6: then parity is recomputed */
/* SWITCH: ACTIVATION_NOT_FLUSHED | replicas-w3c2 | replay: reconciles, flushes, then a new ring generation */
/* SWITCH: STATES_DO_NOT_STAY | replicas | rule 6: states 0..3 stay */
/* SWITCH: PAGES_BEFORE_RECONCILED | replicas | rule 6: flushed, and then written to the pages */

#ifdef EC
#define NL	3			/* legs */
#define NU	3			/* units */
#define ND	2			/* data units */
#define P	2			/* the parity unit */
#define NC	3			/* cells */
#define LEG(c)	(c)
#define PER	1			/* cells of a unit */
#define NV	5
#define GARBAGE	(NV * NV)
#ifdef LOCK_BLOCKS_ONLY
#define ROW(u)	(u)			/* the lock of a unit */
#else
#define ROW(u)	0
#endif
#define KEY(u, v) ((u) == P -> (v) / NV + (v) % NV : (v))
#else
#define NL	2
#define NU	BLOCKS
#define ND	BLOCKS
#define NC	(2 * BLOCKS)
#define LEG(c)	((c) % 2)
#define PER	2
#define NV	7
#define GARBAGE	NV
#define ROW(u)	(u)
#define KEY(u, v) (v)
#endif
#define WRITES	(NV - 3)		/* the rest of the versions are for torn and lost */
#ifdef TRACE
#define SCRATCH				/* pan -DBFS, for the shortest trail, wants none hidden */
#else
#define SCRATCH	hidden
#endif
#define BIT(v)	(1 << (v))
#define ZERO(u, v) ((vz[u] >> (v)) & 1)
#define CONT(u, v) (ZERO(u, v) -> 0 : (v))

/* room for what a checkpoint records: every unit, and the active range */
#define RESERVE	(NU + 1)
#define NR	(RESERVE + NU + 1)
#ifdef ORDINARY_USES_RESERVE
#define ORDINARY 0
#else
#define ORDINARY RESERVE		/* what ordinary records leave free */
#endif
#define ACTIVE	255
#define CSUM(u, v) ((u) * 64 + (v))
#define ZEROS(v, w) (256 + (v) * 8 + (w))	/* a whole row, d0, d1 and p, in one record */

/* backends */
byte cur[NC];
int maybe[NC];
int infl[NC];
byte page[2 * NU], page_lsn[2];		/* the checksum page on legs 0 and 1 */
byte newpage[2 * NU], newpage_lsn[2];
bool unflushed[2];			/* newpage is written, not flushed */
short ring[NR];
byte nr, durable;		/* records, and how many of them are durable */
byte lost;				/* leg + 1 */

/* the host's memory */
bool up;
byte comp[NU];				/* value of the last complete write */
byte app[NU];				/* value last put into the ring */
byte rec[NU];				/* value last durable in the ring: what pages may hold */
bool lock[ND];
byte act;				/* the range: 0 not active, 1 its record is appended, 2 durable */
byte writing;				/* writes in flight in the range */
bool begun;				/* a write began since the checkpoint's flush did */

/* writers */
/*
 * Two ways to discard whole rows. kernel/discard.c's: as a write, but that no data is written. And the one
 * that passes the discard down: recorded at once, without a range.
 */
#ifdef DISCARD_IS_WRITE
#define DISCARD		W_ACTIVATE
#else
#define DISCARD		W_RECORD
#endif
#define W_IDLE		0
#define W_ACTIVATE	1
#define W_ISSUE		2
#define W_COMPLETE	3
#define W_RECORD	4
#define W_COMMIT	5
#define W_PASS		6
#define W_COMMIT2	7		/* of a switch */
byte wpc[2], wu[2], wv[2], wo[2];
bool wfua[2];

/* flush (0) and checkpoint (1) */
#define F_IDLE		0
#define F_DEVICES	1
#define F_RECORD	2
#define F_COMMIT	3
#define C_PAGES		4
#define C_DEVICES	5
#define C_RENEW		6
#define C_COMMIT	7
#define C_FREE		8
byte fpc[2], snap[2 * NU];
byte asked[2 * ND];			/* what the caller may believe flushed when it is told so */
bool keep;
byte L;

/* activation */
byte rpc;

/* what was promised */
byte nv[ND];				/* the next version */
int vz[ND];
int lostv[ND];				/* versions that are state 3 */
byte base[ND];				/* what is flushed, or was read after the last activation */
int later[ND];				/* the writes after it */
byte nw, ncrash;

SCRATCH byte i, j, x, y;
SCRATCH byte ok;
SCRATCH byte flushed_data_kept, every_leg_has_it, every_copy_has_it, one_write_of_a_page, room_was_reserved;	/* assertions' names */

#define BUSY	(wpc[0] || wpc[1] || fpc[0] || fpc[1])

inline append(r)
{
	ring[nr] = r;
	nr++;
}

inline commit()
{
	durable = nr;
	i = 0;
	do
	:: i < NU -> rec[i] = app[i]; i++
	:: else -> break
	od;
	if
	:: act == 1 -> act = 2
	:: else
	fi
}

/* every backend writes its cache out; what is in flight may be there or not */
inline flush_devices()
{
	i = 0;
	do
	:: i < NC -> maybe[i] = BIT(cur[i]) | infl[i]; i++
	:: else -> break
	od;
	flush_pages()
}

inline flush_pages()
{
	i = 0;
	do
	:: i < 2 ->
		if
		:: unflushed[i] ->
			j = 0;
			do
			:: j < NU ->
				page[i * NU + j] = newpage[i * NU + j];
				newpage[i * NU + j] = 0;
				j++
			:: else -> break
			od;
			page_lsn[i] = newpage_lsn[i];
			newpage_lsn[i] = 0;
			unflushed[i] = 0
		:: else
		fi;
		i++
	:: else -> break
	od
}

/* the table as recorded, on both copies */
inline write_pages(lsn)
{
	i = 0;
	do
	:: i < 2 ->
		if
		:: lost != i + 1 ->
			one_write_of_a_page = !unflushed[i];
			assert(one_write_of_a_page);
			j = 0;
			do
			:: j < NU -> newpage[i * NU + j] = rec[j]; j++
			:: else -> break
			od;
			newpage_lsn[i] = lsn;
			unflushed[i] = 1
		:: else
		fi;
		i++
	:: else -> break
	od
}

inline issue(c, v)
{
	if
	:: lost != LEG(c) + 1 ->
		maybe[c] = maybe[c] | BIT(v);
		infl[c] = infl[c] | BIT(v)
	:: else
	fi
}

inline complete(c, v, fua)
{
	if
	:: lost != LEG(c) + 1 ->
		infl[c] = infl[c] & ~BIT(v);
		cur[c] = v;
		if
#ifndef FUA_NOT_ON_LEGS
		:: fua -> maybe[c] = BIT(v) | infl[c]
#endif
		:: else
		fi
	:: else
	fi
}

/* the caller was told that version v of unit u, and so all before it, is flushed */
inline promise(u, v)
{
	if
	:: later[u] & BIT(v) ->
		base[u] = v;
		later[u] = later[u] & ~(BIT((v) + 1) - 1)
	:: else
	fi
}

#define MAY(u)	(!lock[ROW(u)] && nv[u] <= WRITES)

/* a discarded row or block: what is there now, nobody knows */
inline pass_down()
{
	i = 0;
	do
	:: i < NC ->
#ifndef EC
		if
		:: i / 2 == wu[w] ->
#endif
			cur[i] = GARBAGE;
			maybe[i] = maybe[i] | BIT(GARBAGE);
#ifndef EC
		:: else
		fi;
#endif
		i++
	:: else -> break
	od
}

proctype writer(byte w)
{
	byte u;

end:	do
	/* lock the block or row; the write now has its place in the order of writes */
	:: atomic {
		up && wpc[w] == W_IDLE && nw < MAXW && (w == 0 || wpc[0]) && (MAY(0) || MAY(ND - 1)) ->
		if
		:: MAY(0) -> u = 0
#if ND > 1
		:: MAY(1) -> u = 1
#endif
		fi;
		nw++;
		lock[ROW(u)] = 1;
		wu[w] = u;
		wv[w] = nv[u];
		nv[u]++;
		later[u] = later[u] | BIT(wv[w]);
		if
		:: wfua[w] = 0; wpc[w] = W_ACTIVATE
		:: wfua[w] = 1; wpc[w] = W_ACTIVATE
#ifndef EC
		:: vz[u] = vz[u] | BIT(wv[w]); wpc[w] = DISCARD
#else
		/* discard of a whole row */
		:: u == 0 && nv[1] <= WRITES ->
			later[1] = later[1] | BIT(nv[1]);
			vz[0] = vz[0] | BIT(wv[w]);
			vz[1] = vz[1] | BIT(nv[1]);
			wo[w] = nv[1];
			nv[1]++;
			wpc[w] = DISCARD
#endif
		fi;
		if
#ifndef COUNTED_AT_ISSUE
		:: wpc[w] == W_ACTIVATE -> writing++; begun = 1
#endif
		:: else
		fi;
		u = 0
	   }

	/* the active range's record is durable before the first data write in it */
	:: d_step {
		up && wpc[w] == W_ACTIVATE && act == 0 && nr < NR - ORDINARY ->
		append(ACTIVE);
		act = 1
	   }
	:: d_step {
		up && wpc[w] == W_ACTIVATE && act == 1 ->
		commit()
	   }
	:: d_step {
		up && wpc[w] == W_ACTIVATE &&
#ifdef DATA_BEFORE_ACTIVE
		act >= 1 ->
#else
		act == 2 ->
#endif
#ifdef EC
		wo[w] = (ZERO(wu[w], wv[w]) -> wo[w] : comp[1 - wu[w]]);	/* the other data unit, read or rebuilt */
#endif
		wpc[w] = W_ISSUE
	   }

#ifdef DISCARD_IS_WRITE
	:: d_step {
		up && wpc[w] == W_ISSUE && ZERO(wu[w], wv[w]) ->
		comp[wu[w]] = wv[w];
#ifdef EC
		comp[1] = wo[w];
		comp[P] = wv[w] * NV + wo[w];
#endif
		lock[ROW(wu[w])] = 0;
		writing--;
		wpc[w] = W_IDLE; wu[w] = 0; wv[w] = 0; wo[w] = 0; wfua[w] = 0
	   }
#endif
	:: d_step {
		up && wpc[w] == W_ISSUE && !ZERO(wu[w], wv[w]) ->
#ifdef COUNTED_AT_ISSUE
		writing++;
		begun = 1;
#endif
#ifdef EC
		issue(wu[w], wv[w]);
		x = (wu[w] -> wo[w] * NV + wv[w] : wv[w] * NV + wo[w]);
		issue(P, x);
#else
		issue(2 * wu[w], wv[w]);
		issue(2 * wu[w] + 1, wv[w]);
#endif
		wpc[w] = W_COMPLETE
	   }

	/* all legs answered; without FUA the caller is told */
	:: d_step {
		up && wpc[w] == W_COMPLETE ->
#ifdef EC
		complete(wu[w], wv[w], wfua[w]);
		x = (wu[w] -> wo[w] * NV + wv[w] : wv[w] * NV + wo[w]);
		complete(P, x, wfua[w]);
		comp[P] = x;
#else
		complete(2 * wu[w], wv[w], wfua[w]);
		complete(2 * wu[w] + 1, wv[w], wfua[w]);
#endif
		comp[wu[w]] = wv[w];
		lock[ROW(wu[w])] = 0;
		writing--;
		if
		:: wfua[w] -> wpc[w] = W_RECORD
		:: else -> wpc[w] = W_IDLE; wu[w] = 0; wv[w] = 0; wo[w] = 0
		fi
	   }

	/* FUA and discard: the records; one that a later write's overtook is left out */
	:: d_step {
		up && wpc[w] == W_RECORD && nr + NU <= NR - ORDINARY ->
#ifdef EC
		if
		:: !wfua[w] ->
			app[0] = wv[w];
			app[1] = wo[w];
			app[P] = wv[w] * NV + wo[w];
#ifdef DISCARD_SPLIT
			append(CSUM(0, app[0]));
			append(CSUM(1, app[1]));
			append(CSUM(P, app[P]))
#else
			append(ZEROS(wv[w], wo[w]))
#endif
		:: else ->
			x = (wu[w] -> wo[w] * NV + wv[w] : wv[w] * NV + wo[w]);
			if
			:: KEY(P, x) > KEY(P, app[P]) ->
				app[P] = x;
				append(CSUM(P, x))
			:: else
			fi
		fi;
#endif
		if
		:: wv[w] > app[wu[w]] ->
			app[wu[w]] = wv[w];
			append(CSUM(wu[w], wv[w]))
		:: else
		fi;
		wpc[w] = W_COMMIT
	   }
	:: d_step {
		up && wpc[w] == W_COMMIT ->
#ifdef DISCARD_BEFORE_RECORD
		if
		:: !wfua[w] -> pass_down()
		:: else
		fi;
		wpc[w] = W_COMMIT2
	   }
	:: d_step {
		up && wpc[w] == W_COMMIT2 ->
#endif
		commit();
		promise(wu[w], wv[w]);
		if
		:: wfua[w] -> wpc[w] = W_IDLE; wfua[w] = 0; wu[w] = 0; wv[w] = 0; wo[w] = 0
		:: else ->
			comp[wu[w]] = wv[w];
#ifdef EC
			comp[1] = wo[w];
			comp[P] = wv[w] * NV + wo[w];
			promise(1, wo[w]);
#endif
#ifdef DISCARD_UNLOCKED
			lock[ROW(wu[w])] = 0;
#endif
			wpc[w] = W_PASS
		fi
	   }
	/* the discard is passed down, under the lock */
	:: d_step {
		up && wpc[w] == W_PASS ->
		pass_down();
#ifndef DISCARD_UNLOCKED
		lock[ROW(wu[w])] = 0;
#endif
		wpc[w] = W_IDLE; wu[w] = 0; wv[w] = 0; wo[w] = 0
	   }
	od
}

proctype flush(byte f)
{
end:	do
	:: d_step {
		up && fpc[f] == F_IDLE && (f -> nr > 0 : (later[0] || later[ND - 1])) ->
		i = 0;
		do
		:: i < NU ->
			snap[f * NU + i] = comp[i];
#ifdef FLUSH_SKIPS_BUSY_ROWS
			if
			:: lock[ROW(i % ND)] -> snap[f * NU + i] = app[i]
			:: else
			fi;
#endif
			i++
		:: else -> break
		od;
		asked[f * ND] = comp[0];
		asked[f * ND + ND - 1] = comp[ND - 1];
		if
		:: f -> keep = (writing > 0); begun = 0
		:: else
		fi;
		fpc[f] = F_DEVICES
	   }
	:: d_step {
		up && fpc[f] == F_DEVICES ->
#ifndef RECORD_BEFORE_DATA
		flush_devices();
#endif
		fpc[f] = F_RECORD
	   }
	/* the value of each unit's last complete write, unless a later one's is in the ring */
	:: d_step {
		up && fpc[f] == F_RECORD && (f || nr + NU <= NR - ORDINARY) ->
#ifdef FLUSH_RECORDS_NEWEST
		i = 0;
		do
		:: i < NU -> snap[f * NU + i] = comp[i]; i++
		:: else -> break
		od;
#endif
		i = 0;
		do
		:: i < NU ->
			if
#ifdef FLUSH_APPENDS_OVERTAKEN
			:: snap[f * NU + i] != app[i] ->
#else
			:: KEY(i, snap[f * NU + i]) > KEY(i, app[i]) ->
#endif
				room_was_reserved = (nr < NR);
				assert(room_was_reserved);
				app[i] = snap[f * NU + i];
				append(CSUM(i, app[i]))
			:: else
			fi;
			i++
		:: else -> break
		od;
		fpc[f] = F_COMMIT
	   }
	:: d_step {
		up && fpc[f] == F_COMMIT ->
#ifdef FLUSH_ACKS_OVERTAKEN
		/* it has nothing of its own to wait for */
		ok = 0;
		i = 0;
		do
		:: i < NU -> ok = ok || snap[f * NU + i] == app[i] && app[i] != rec[i]; i++
		:: else -> break
		od;
		if
		:: ok || f -> commit()
		:: else
		fi;
#else
		commit();
#endif
#ifdef RECORD_BEFORE_DATA
		flush_devices();
#endif
		promise(0, asked[f * ND]);
#if ND > 1
		promise(1, asked[f * ND + 1]);
#endif
		asked[f * ND] = 0;
		asked[f * ND + ND - 1] = 0;
		i = 0;
		do
		:: i < NU -> snap[f * NU + i] = 0; i++
		:: else -> break
		od;
		if
		:: f -> L = durable; fpc[f] = C_PAGES
		:: else -> fpc[f] = F_IDLE
		fi
	   }

	/* checkpoint */
	:: d_step {
		up && fpc[f] == C_PAGES ->
#ifdef PAGES_HOLD_UNRECORDED
		i = 0;
		do
		:: i < NU -> rec[i] = comp[i]; i++
		:: else -> break
		od;
#endif
		write_pages(durable);
		fpc[f] = C_DEVICES
	   }
	:: d_step {
		up && fpc[f] == C_DEVICES ->
#ifndef CHECKPOINT_FREES_BEFORE_PAGES
		flush_devices();
#endif
		fpc[f] = C_RENEW
	   }
	/* from here on a write to a range that was idle needs a new active record */
	:: d_step {
		up && fpc[f] == C_RENEW ->
#ifdef CHECKPOINT_FORGETS_BEGUN
		begun = 0;
#endif
#ifdef CHECKPOINT_FORGETS_WRITING
		keep = 0;
#endif
#ifndef CHECKPOINT_FREES_ACTIVE
		if
		:: keep || begun ->
			room_was_reserved = (nr < NR);
				assert(room_was_reserved);
			append(ACTIVE)
		:: else -> act = 0
		fi;
#endif
		keep = 0;
		begun = 0;
		fpc[f] = C_COMMIT
	   }
	:: d_step {
		up && fpc[f] == C_COMMIT ->
#ifndef RENEWAL_NOT_DURABLE
		commit();
#endif
		fpc[f] = C_FREE
	   }
	:: d_step {
		up && fpc[f] == C_FREE ->
		i = 0;
		do
		:: i < NR ->
			ring[i] = (i + L < nr -> ring[(i + L) % NR] : 0);
			i++
		:: else -> break
		od;
		nr = nr - L;
		durable = durable - L;
		page_lsn[0] = (page_lsn[0] > L -> page_lsn[0] - L : 0);
		page_lsn[1] = (page_lsn[1] > L -> page_lsn[1] - L : 0);
		L = 0;
		fpc[f] = F_IDLE
	   }
	od
}

inline forget()
{
	i = 0;
	do
	:: i < NU ->
		comp[i] = 0; app[i] = 0; rec[i] = 0;
		snap[i] = 0; snap[NU + i] = 0;
		i++
	:: else -> break
	od;
	i = 0;
	do
	:: i < 2 ->
		wpc[i] = 0; wu[i] = 0; wv[i] = 0; wo[i] = 0; wfua[i] = 0;
		fpc[i] = 0;
		asked[i * ND] = 0; asked[i * ND + ND - 1] = 0;
		i++
	:: else -> break
	od;
	lock[0] = 0;
	lock[ND - 1] = 0;
	act = 0;
	writing = 0;
	begun = 0;
	keep = 0;
	L = 0
}

/* a version is kept for state 3 */
#ifdef EC
#define MAYTEAR(c) ((c) == P || nv[c] < NV - 1)
#else
#define MAYTEAR(c) 1
#endif

proctype crash()
{
	byte c, v;
	bool power, torn;

end:	do
	:: atomic {
		ncrash < MAXC ->
		ncrash++;
		up = 0;
		d_step { forget() }
		/* the records after the durable ones: any prefix is there */
		do
		:: nr > durable -> nr--; ring[nr] = 0
		:: break
		od;
		if
		:: power = 0
		:: power = 1
		fi;
		do
		:: c < NC ->
			v = 0;
			if
			:: power && !torn && maybe[c] & (maybe[c] - 1) && MAYTEAR(c) ->
				/* this one is torn */
				torn = 1;
#ifdef EC
				if
				:: c == P -> v = GARBAGE
				:: else ->
#endif
					v = nv[c / PER];
					nv[c / PER]++;
					if
					:: later[c / PER] ->
						later[c / PER] = later[c / PER] | BIT(v)
					:: else
					fi
#ifdef EC
				fi
#endif
			:: power ->
				do
				:: (maybe[c] >> v) & 1 -> break
				:: maybe[c] >> (v + 1) -> v++
				od
			:: !power -> v = cur[c]
			:: !power && infl[c] ->
				do
				:: (infl[c] >> v) & 1 -> break
				:: infl[c] >> (v + 1) -> v++
				od
			fi;
			cur[c] = v;
			infl[c] = 0;
			if
			:: power -> maybe[c] = BIT(v)
			:: else
			fi;
			v = 0;
			c++
		:: else -> break
		od;
		c = 0;
		/* the pages: with the power gone the last write is there, or the one before */
		do
		:: c < 2 ->
			if
			:: power && unflushed[c] ->
				if
				:: d_step {
					i = 0;
					do
					:: i < NU -> page[c * NU + i] = newpage[c * NU + i]; i++
					:: else -> break
					od;
					page_lsn[c] = newpage_lsn[c]
				   }
				:: skip
				fi;
				d_step {
					i = 0;
					do
					:: i < NU -> newpage[c * NU + i] = 0; i++
					:: else -> break
					od;
					newpage_lsn[c] = 0;
					unflushed[c] = 0
				}
			:: else
			fi;
			c++
		:: else -> break
		od;
		c = 0;
		if
		:: lost == 0 -> lost = 1
		:: lost == 0 -> lost = NL
#ifdef EC
		:: lost == 0 -> lost = 2
#endif
		:: skip
		fi;
		/* a lost leg is of no interest any more */
		d_step {
			i = 0;
			do
			:: i < NC && lost == LEG(i) + 1 -> cur[i] = 0; maybe[i] = 1; i++
			:: i < NC && lost != LEG(i) + 1 -> i++
			:: else -> break
			od;
			if
			:: lost == 1 || lost == 2 ->
				i = 0;
				do
				:: i < NU -> page[(lost - 1) * NU + i] = 0; newpage[(lost - 1) * NU + i] = 0; i++
				:: else -> break
				od;
				page_lsn[lost - 1] = 0;
				newpage_lsn[lost - 1] = 0;
				unflushed[lost - 1] = 0
			:: else
			fi;
			power = 0;
			torn = 0;
			rpc = 1
		}
	   }
	od
}

/* the newest page among the current legs, and then the records newer than it; act says if the range was active */
inline replay()
{
	i = 0;					/* lsn of the page that is taken */
	x = 2;
	j = 0;
	do
	:: j < 2 ->
		y = (unflushed[j] -> newpage_lsn[j] : page_lsn[j]);
		if
		:: lost != j + 1 && (x == 2 || y > i) -> x = j; i = y
		:: else
		fi;
		j++
	:: else -> break
	od;
	j = 0;
	do
	:: j < NU -> comp[j] = (unflushed[x] -> newpage[x * NU + j] : page[x * NU + j]); j++
	:: else -> break
	od;
	j = 0;
	do
	:: j < nr ->
		if
		:: ring[j] == ACTIVE -> act = 1
		:: ring[j] < ACTIVE && j + 1 > i ->
			comp[ring[j] / 64] = ring[j] % 64
#ifdef EC
		:: ring[j] > ACTIVE && j + 1 > i ->
			comp[0] = (ring[j] - 256) / 8;
			comp[1] = (ring[j] - 256) % 8;
			comp[P] = comp[0] * NV + comp[1]
#endif
		:: else
		fi;
		j++
	:: else -> break
	od
}

inline settle(c, v)
{
	if
	:: lost != LEG(c) + 1 && cur[c] != v ->
		maybe[c] = maybe[c] | BIT(v);
		cur[c] = v
	:: else
	fi
}

#ifndef EC
inline reconcile()
{
	i = 0;
	do
	:: i < NU ->
		if
		#ifndef STATES_DO_NOT_STAY
		:: ZERO(i, comp[i]) -> skip		/* states 0..3 stay */
#endif
		:: else ->
			x = (lost == 1 -> 1 : 0);	/* the lowest leg */
			if
			:: lost != 1 && cur[2 * i] == comp[i] -> skip
			:: lost != 2 && cur[2 * i + 1] == comp[i] -> skip
			:: else -> comp[i] = cur[2 * i + x]
			fi;
#ifndef LEGS_NOT_SETTLED
			settle(2 * i, comp[i]);
			settle(2 * i + 1, comp[i])
#else
			skip
#endif
		fi;
		i++
	:: else -> break
	od
}
#else
/* what data unit u's cell gives to a decode */
#ifdef NO_DECODE
#define DECODES 0
#else
#define DECODES 1
#endif
#define CELL(u) (ZERO(u, old[u]) -> 0 : cur[u])
SCRATCH byte old[NU];
SCRATCH byte pz;
inline reconcile()
{
	i = 0;
	do
	:: i < NU -> old[i] = comp[i]; i++
	:: else -> break
	od;
	/* the parity's two sides */
	x = cur[P] / NV;
	y = cur[P] % NV;
	pz = (CONT(0, comp[P] / NV) == 0 && CONT(1, comp[P] % NV) == 0);
	if
	:: pz -> x = 0; y = 0; ok = 1
	:: else -> ok = (lost != P + 1 && cur[P] != GARBAGE); x = CONT(0, x); y = CONT(1, y)
	fi;
	i = 0;
	do
	:: i < 2 ->
		if
		#ifndef STATES_DO_NOT_STAY
		:: ZERO(i, old[i]) -> skip				/* states 0..3 stay */
#endif
		:: else ->
			if
			:: lost != i + 1 && cur[i] == old[i] -> skip	/* matches */
			:: else ->
				if
				:: DECODES && ok && (lost != 2 - i || ZERO(1 - i, old[1 - i])) &&
				   (i -> x : y) == CELL(1 - i) &&
				   (i -> y : x) == old[i] -> skip	/* decodes to the value */
				:: else ->
					if
					:: lost != i + 1 -> comp[i] = cur[i]
					:: else ->			/* state 3 */
						if
						:: (lostv[i] >> (nv[i] - 1)) & 1 -> skip
						:: else ->
							assert(nv[i] < NV);
							vz[i] = vz[i] | BIT(nv[i]);
							lostv[i] = lostv[i] | BIT(nv[i]);
							nv[i]++
						fi;
						comp[i] = nv[i] - 1
					fi
				fi
			fi
		fi;
		i++
	:: else -> break
	od;
	i = 0;
	do
	:: i < 2 ->
		if
		:: !ZERO(i, comp[i]) -> settle(i, comp[i])
		:: else
		fi;
		i++
	:: else -> break
	od;
	comp[P] = comp[0] * NV + comp[1];
	if
	#ifndef PARITY_NOT_RECOMPUTED
	:: CONT(0, comp[0]) || CONT(1, comp[1]) -> settle(P, comp[P])
#endif
	:: else
	fi
}
#endif

/* rule 1, 3 and 6: what every unit holds now, whichever further leg is lost */
inline check()
{
	i = 0;
	do
	:: i < ND ->
		x = comp[i];
#define write_hole	(lost && ((lostv[i] >> x) & 1) && (later[0] || later[ND - 1]))
		flushed_data_kept = (x == base[i] || (later[i] & BIT(x)) || write_hole);
		assert(flushed_data_kept);
		i++
	:: else -> break
	od;
	i = 0;
	do
	:: i < ND ->
		base[i] = comp[i];
		later[i] = 0;
		i++
	:: else -> break
	od;
	i = 0;
	do
	:: i < 2 * NU ->
		every_copy_has_it = (lost == i / NU + 1 || (!unflushed[i / NU] && page[i] == comp[i % NU]));
		assert(every_copy_has_it);
		i++
	:: else -> break
	od;
	i = 0;
	do
	:: i < NC ->
#ifdef EC
		if
		:: i == P ->
			ok = (CONT(0, comp[0]) == 0 && CONT(1, comp[1]) == 0) ||
			     (cur[P] != GARBAGE && CONT(0, cur[P] / NV) == CONT(0, comp[0]) &&
			      CONT(1, cur[P] % NV) == CONT(1, comp[1]) && maybe[P] == BIT(cur[P]))
		:: else ->
			ok = ZERO(i, comp[i]) || (cur[i] == comp[i] && maybe[i] == BIT(cur[i]))
		fi;
#else
		ok = ZERO(i / 2, comp[i / 2]) || (cur[i] == comp[i / 2] && maybe[i] == BIT(cur[i]));
#endif
		every_leg_has_it = (ok || lost == LEG(i) + 1);
		assert(every_leg_has_it);
		i++
	:: else -> break
	od
}

proctype activate()
{
end:	do
	/* the records are copied to every ring member and flushed */
	:: d_step { rpc == 1 -> durable = nr; rpc = 2 }
	:: d_step {
		rpc == 2 ->
		forget();
		replay();
		if
		:: act -> reconcile()
		:: else
		fi;
		act = 0;
		i = 0;
		do
		:: i < NU -> rec[i] = comp[i]; i++
		:: else -> break
		od;
		rpc = 3
	   }
	:: d_step {
		rpc == 3 ->
#ifdef ACTIVATION_NOT_FLUSHED
		flush_pages();
#elif !defined(PAGES_BEFORE_RECONCILED)
		flush_devices();
#endif
		rpc = 4
	   }
	:: d_step { rpc == 4 -> write_pages(nr); rpc = 5 }
	:: d_step {
		rpc == 5 ->
#ifndef ACTIVATION_NOT_FLUSHED
		flush_devices();
#else
		flush_pages();
#endif
		rpc = 6
	   }
	/* a new ring generation */
	:: d_step {
		rpc == 6 ->
		i = 0;
		do
		:: i < NR -> ring[i] = 0; i++
		:: else -> break
		od;
		nr = 0;
		durable = 0;
		page_lsn[0] = 0;
		page_lsn[1] = 0;
		check();
		i = 0;
		do
		:: i < NU -> app[i] = comp[i]; i++
		:: else -> break
		od;
		rpc = 0;
		up = 1
	   }
	od
}

/* when nothing can move, there must be nothing left to do */
proctype idle()
{
	do
	:: up && !BUSY && rpc == 0 -> skip
	od
}

init {
	atomic {
		d_step {
			i = 0;
			do
			:: i < NC -> maybe[i] = 1; i++
			:: else -> break
			od;
			i = 0;
			do
			:: i < ND ->
				nv[i] = 1;
#ifdef EC
				vz[i] = 1;	/* a hole at first */
#endif
				i++
			:: else -> break
			od;
			up = 1
		};
		run writer(0);
		run writer(1);
		run flush(0);
		run flush(1);
		run crash();
		run activate();
		run idle()
	}
}
