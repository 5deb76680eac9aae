/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Re-admission: suspects and their tables, resync and insync, orphans, rebuild
 * elsewhere, slots and generations, an index that goes to a new backend
 * (rules 1 to 4, 8, 11).
 *
 * Three backends, all ring members at first; one place of a volume with
 * replicas=2, where a chunk (first: generation 1 on backends 0 and 1) is
 * written, freed and allocated anew. A backend has one slot. Writes are FUA and
 * have no cache: a write is in flight until its answer (members.pml has caches,
 * ranges and checksums). Data of another generation than the chunk's is a hole.
 *
 * A ring copy is told by its LSN (0: not a ring member) and by the last record of the place, as each
 * names generation, legs, insync and epoch. Writes to several backends together
 * are one step, of which a crash leaves any subset (members.pml).
 */

/* RUN: admit quick | -DLOSSES=1 -DCRASHES=2 -DMETA=2 -DMAXW=1 | -DHC4 | -m100000 -w24 */
/* RUN: writes quick | -DLOSSES=1 -DCRASHES=1 -DMETA=1 -DMAXW=2 | -DHC4 | -m100000 -w22 */
/* RUN: losses | -DLOSSES=2 -DCRASHES=1 -DMETA=1 -DMAXW=1 | -DHC4 | -m100000 -w25 */
/* RUN: kept | -DLOSSES=2 -DCRASHES=0 -DMETA=2 -DMAXW=2 | -DHC4 | -m100000 -w25 */
/* RUN: epochs | -DLOSSES=3 -DCRASHES=2 -DMETA=1 -DMAXW=0 -DNEP=5 | -DHC4 | -m100000 -w26 */

/* SWITCH: SUSPECTS_CONTRIBUTE | admit | 3: a suspect contributes no tables, ring records or chunks */
/* SWITCH: METADATA_DURING_READMIT | admit | 3: metadata changes wait from the last comparison until the epoch is
   durable */
/* SWITCH: INDEX_REUSED_EARLY | admit | 3: an index goes to a new UUID only when no insync names it */
/* SWITCH: RESYNC_MISSES_WRITES | admit | 3: insync by a record written after its data (writes go where was copied) */
/* SWITCH: ADMIT_WITH_ORPHANS | writes | 8: a backend is let in again only without orphans */
/* SWITCH: NO_QUARANTINE | kept | 8: slots with orphaned writes are quarantined */
/* SWITCH: ALLOCATION_UNSEEN | kept | deadlock | 4: a chunk is in use from when its allocation is on its way */
/* SWITCH: INSYNC_FORGETS_TARGET | losses | 2: a leg whose insync record is on its way counts as current */
/* SWITCH: HALF_EPOCH_ADMITS | losses -DHALF_EPOCH_LEFT | 5: an epoch that a member in by it lacks was never in force */
/* SWITCH: OLD_GENERATION_STAYS | epochs | 3: the superblock has the ring's generation (whoever comes in has the pool's) */
/* SWITCH: HALF_EPOCH_LEFT | epochs | 5: after an epoch that could not be completed nothing goes on before another is
   durable */

#ifndef MAXW
#define MAXW	2		/* writes */
#endif
#ifndef META
#define META	2		/* allocations and frees */
#endif
#ifndef LOSSES
#define LOSSES	2
#endif
#ifndef CRASHES
#define CRASHES	2
#endif
#ifndef NEP
#define NEP	7
#endif

#ifdef HALF_EPOCH_ADMITS
#define VOID_EPOCHS_COUNT
#endif
#include "epochs.h"

#define UP(b)	HAS(link, b)

/* phases, as in members.pml */
#define DOWN	0
#define COPY	1
#define EPOCH	2
#define STAMP	3
#define RECON	4
#define GEN	5
#define RUN	6

/* ring operations */
#define ACT	1		/* active range */
#define STP	2		/* stamp */
#define INS	3		/* insync change */
#define ALC	4		/* allocation of a chunk */
#define FRE	5		/* its freeing */
#define LEG	6		/* a leg elsewhere: REBUILD */
#define CKP	7		/* end of a checkpoint */

/* ghosts */
byte link = ALL;
byte losses, crashes, metas;
bool first;			/* backends 0 and 1 are alike: 0 is lost first */
byte may = 2;			/* the values that a read may return: a mask */
byte last_gen = 1;
byte issued = 1;

/* backends: superblock, ring copy, the slot and its data */
byte sb_gen[3];
byte r_lsn[3], r_gen[3], r_legs[3], r_insync[3], r_epoch[3];
bool r_set[3];
byte s_gen[3], s_insync[3], s_epoch[3];
byte d_gen[3], d_val[3];
/* a write that timed out and will yet be done: backend + 1, what it writes */
byte orphan, o_gen, o_val;
bool blank[3];			/* a new disk, whom no superblock knows yet */

/* the host */
byte ph, cur, in, rm, gen, good, bad, tip, ne, back;
bool half;			/* an epoch was begun that could not be completed */
byte c_gen, c_legs, c_insync, c_epoch;
bool c_set, c_act;		/* named in the ring; range active */
byte rop, v_lsn, v_gen, v_legs, v_insync, v_epoch;
bool v_set;
bool ckpt;
bool dirty;			/* its row is to be reconciled */
byte wst, wv, wf;		/* write: 1 begun, 2 sent; value; legs that failed */
byte copied;			/* resync: backend + 1 that has the data, not flushed and recorded */

hidden byte changed;

/* never true: for the verifier to name */
hidden byte reads_what_was_written, current_legs_hold_what_was_written, activates_with_all_there;

#define CURRENT		(c_insync & c_legs & in)
#define SEEN(b)		((d_gen[b] == c_gen) -> d_val[b] : 0)
/* current legs, and the one that is being resynchronised */
#ifdef RESYNC_MISSES_WRITES
#define TARGETS		CURRENT
#else
#define TARGETS		(CURRENT | (copied != 0 -> B(copied - 1) : 0))
#endif

#define UNSTAMPED	(c_legs != 0 && (c_insync & ~in) != 0)
/* after an epoch that could not be completed nothing goes on before another is */
#ifdef HALF_EPOCH_LEFT
#define HELD	false
#else
#define HELD	half
#endif
#define CAN_SEND	(ph == RUN && wst == 1 && c_act && !UNSTAMPED && (rop == 0 || rop == STP || rop == INS) && \
			 (orphan == 0 || o_gen != c_gen || !HAS(TARGETS, orphan - 1)))
#define QUIET		(ph == RUN && rop == 0 && ne == 0 && back == 0)

inline raise(m)
{
	ne = nep; nep++;
	ep_in[ne] = m; ep_hist[ne] = ep_hist[tip] | B(ne);
	tip = ne
}

inline forget()
{
	d_step {
		ph = DOWN; cur = 0; in = 0; rm = 0; gen = 0; good = 0; bad = 0; tip = 0; ne = 0; back = 0; half = 0;
		c_gen = 0; c_legs = 0; c_insync = 0; c_epoch = 0; c_set = 0; c_act = 0;
		rop = 0; v_lsn = 0; v_gen = 0; v_legs = 0; v_insync = 0; v_epoch = 0; v_set = 0;
		ckpt = 0; dirty = 0; wst = 0; wv = 0; wf = 0; copied = 0
	}
}

inline put_ring(b)
{
	r_lsn[b] = v_lsn; r_set[b] = v_set; r_gen[b] = v_gen; r_legs[b] = v_legs;
	r_insync[b] = v_insync; r_epoch[b] = v_epoch
}

/* the slot's entry on a backend, as the pool knows it */
inline put_slot(b)
{
	if
	:: HAS(c_legs, b) -> s_gen[b] = c_gen; s_insync[b] = c_insync; s_epoch[b] = c_epoch
	:: else -> s_gen[b] = 0; s_insync[b] = 0; s_epoch[b] = 0
	fi
}

/* a superblock is one write: the epoch, and the ring's generation */
inline put_epoch(b)
{
	sb_epoch[b] = ne; blank[b] = 0;
#ifndef OLD_GENERATION_STAYS
	sb_gen[b] = gen
#endif
}

inline settle()
{
	i = 0;
	do
	:: i < 3 && HAS(rm, i) -> r_lsn[i] = 1; i++
	:: i < 3 && !HAS(rm, i) ->
		r_lsn[i] = 0; r_set[i] = 0; r_gen[i] = 0; r_legs[i] = 0; r_insync[i] = 0; r_epoch[i] = 0;
		i++
	:: else -> break
	od;
	v_lsn = 1
}

/* --- activation ----------------------------------------------------------- */

inline find_ring()
{
	gen = 0;
	i = 0;
	do
	:: i < 3 && HAS(x, i) && sb_gen[i] > gen -> gen = sb_gen[i]; i++
	:: i < 3 && !(HAS(x, i) && sb_gen[i] > gen) -> i++
	:: else -> break
	od;
	e = NONE;
	i = 0;
	do
	:: i < 3 ->
		if
		:: HAS(x, i) && sb_gen[i] == gen && r_lsn[i] != 0 && (e == NONE || r_lsn[i] > v_lsn) ->
			e = i;
			v_lsn = r_lsn[i]; v_set = r_set[i]; v_gen = r_gen[i]; v_legs = r_legs[i];
			v_insync = r_insync[i]; v_epoch = r_epoch[i]
		:: else
		fi;
		i++
	:: else -> break
	od;
	rm = x
}

/* the tables of the backends in x, then the ring: highest generation, newest epoch */
inline find_chunk()
{
	c_gen = 0; c_legs = 0; c_insync = 0; c_epoch = 0;
	i = 0;
	do
	:: i < 3 ->
		if
		:: HAS(x, i) && s_gen[i] > c_gen ->
			c_gen = s_gen[i]; c_epoch = s_epoch[i]; c_insync = s_insync[i]
		:: HAS(x, i) && s_gen[i] == c_gen && c_gen != 0 && HAS(ep_hist[s_epoch[i]], c_epoch) ->
			c_epoch = s_epoch[i]; c_insync = s_insync[i]
		:: else
		fi;
		i++
	:: else -> break
	od;
	i = 0;
	do
	:: i < 3 && c_gen != 0 && HAS(x, i) && s_gen[i] == c_gen -> c_legs = c_legs | B(i); i++
	:: i < 3 && !(c_gen != 0 && HAS(x, i) && s_gen[i] == c_gen) -> i++
	:: else -> break
	od;
	if
	:: v_set && v_gen >= c_gen ->
		c_gen = v_gen; c_legs = v_legs; c_insync = v_insync; c_epoch = v_epoch
	:: else
	fi;
	/* legs that are not there are still legs: degraded, never freed */
	c_legs = c_legs | (c_gen != 0 && !v_set -> c_insync : 0);
	c_set = v_set
}

inline activate()
{
	d_step {
		reach = link;
		i = 0;
		do
		:: i < 3 && blank[i] -> reach = reach & ~B(i); i++
		:: i < 3 && !blank[i] -> i++
		:: else -> break
		od;
		void_epochs();
		newest_epoch();
		changed = false;
		if
		:: ok ->
			cur = e; in = ep_in[e];
			if
			:: (in & ~reach) != 0 &&
			   (CNT(in & reach) * 2 <= CNT(in) || CNT(in & reach) < 2) ->
				ok = false
			:: else
			fi
		:: else
		fi;
		if
		:: ok ->
#ifdef SUSPECTS_CONTRIBUTE
			x = reach;
#else
			x = in & reach;
#endif
			find_ring();
			ok = (e != NONE);
			find_chunk();
			if
			:: c_legs != 0 && (CURRENT & reach) == 0 -> ok = false
			:: else
			fi
		:: else
		fi;
		if
		:: ok ->
			good = in;
			i = 0;
			do
			:: i < 3 ->
				if
				:: HAS(in & reach, i) && sb_epoch[i] != cur -> changed = true
				:: else
				fi;
				i++
			:: else -> break
			od;
			if
			:: (in & ~reach) != 0 -> changed = true
			:: else
			fi;
			in = in & reach;
			rm = in;
			tip = cur;
			if
			:: changed && nep < NEP -> raise(in); ph = COPY
			:: changed && nep == NEP -> forget()
			:: !changed -> ph = COPY
			fi
		:: else ->
			if
			:: reach == ALL -> assert(activates_with_all_there)
			:: else
			fi;
			forget()
		fi
	}
}

inline put_phase(b)
{
	if
	:: (ph == COPY || ph == STAMP) && HAS(rm, b) -> put_ring(b)
	:: ph == EPOCH && HAS(in, b) && ne != 0 -> put_epoch(b)
	:: ph == RECON && HAS(in, b) && c_set ->
		if
		:: c_act && HAS(CURRENT, b) -> d_gen[b] = c_gen; d_val[b] = wv
		:: else
		fi;
		put_slot(b)
	:: ph == GEN && HAS(in, b) -> sb_gen[b] = gen; put_ring(b)
	:: else
	fi
}

inline torn(b)
{
	if
	:: UP(b) && ph != RUN && ph != DOWN && HAS(in, b) -> d_step { put_phase(b) }
	:: UP(b) && ph == RUN && ne != 0 && HAS(ep_in[ne], b) -> put_epoch(b)
	:: UP(b) && ph == RUN && rop != 0 && HAS(rm, b) -> d_step { put_ring(b) }
	:: UP(b) && ph == RUN && ckpt && rop == 0 && HAS(in, b) -> d_step { put_slot(b) }
	:: skip
	fi;
	if
	:: UP(b) && CAN_SEND && HAS(TARGETS, b) ->
		d_gen[b] = c_gen; d_val[b] = wv; may = may | B(wv)
	:: skip
	fi
}

inline crash()
{
	torn(0); torn(1); torn(2);
	/* what was on its way is done now, or never */
	if
	:: orphan != 0 -> d_gen[orphan - 1] = o_gen; d_val[orphan - 1] = o_val
	:: skip
	fi;
	orphan = 0; o_gen = 0; o_val = 0;
	forget()
}

/* rule 6, without checksums: one current leg's data is taken for all */
inline choose()
{
	if
	:: CURRENT == 0 -> wv = 0
	:: HAS(CURRENT, 0) -> wv = SEEN(0)
	:: HAS(CURRENT, 1) -> wv = SEEN(1)
	:: HAS(CURRENT, 2) -> wv = SEEN(2)
	fi;
	c_act = (c_set && CURRENT != 0)
}

inline next_phase()
{
	if
	:: (in & ~link) != 0 -> crash()
	:: else ->
		d_step { put_phase(0); put_phase(1); put_phase(2) };
		if
		:: ph == COPY -> ph = EPOCH
		:: ph == EPOCH ->
			ph = STAMP; cur = tip; good = in; ne = 0;
			if
			:: c_set && c_legs != 0 && (c_insync & ~in) != 0 ->
				d_step {
					v_lsn++; v_gen = c_gen; v_legs = c_legs; v_epoch = cur;
					v_insync = c_insync & in
				}
			:: else
			fi
		:: ph == STAMP ->
			if
			:: v_set -> c_epoch = v_epoch; c_insync = v_insync
			:: else
			fi;
			ph = RECON;
			choose()
		:: ph == RECON ->
			d_step {
				ph = GEN; gen++; c_act = 0; wv = 0;
				v_lsn = 1; v_set = 0; v_gen = 0; v_legs = 0; v_insync = 0; v_epoch = 0
			}
		:: ph == GEN ->
			d_step {
				ph = RUN; rm = in; c_set = 0;
				if
				:: c_gen > last_gen -> last_gen = c_gen
				:: else
				fi;
				settle();
				j = 0;
				i = 0;
				do
				:: i < 3 && HAS(CURRENT, i) -> j = SEEN(i); i++
				:: i < 3 && !HAS(CURRENT, i) -> i++
				:: else -> break
				od;
				if
				:: !HAS(may, j) -> assert(reads_what_was_written)
				:: else
				fi;
				may = B(j)
			}
		fi
	fi
}

/* --- running --------------------------------------------------------------- */

/* a chunk is in use from when its allocation is on its way */
#ifdef ALLOCATION_UNSEEN
#define LAST_LEGS(m)	(c_legs == 0 || (c_insync & c_legs & (m)) != 0)
#else
#define LAST_LEGS(m)	(rop == ALC -> (v_legs & (m)) != 0 : (c_legs == 0 || (c_insync & c_legs & (m)) != 0))
#endif
#define MAY_RAISE(m)	(LAST_LEGS(m) && (rm & (m)) != 0 && CNT(m) * 2 >= CNT(good))

#ifdef INSYNC_FORGETS_TARGET
#define RESYNC_ENDS	true
#else
#define RESYNC_ENDS	(rop != INS)
#endif

inline failed(b)
{
	bad = bad | B(b);
	/* once its insync record is on its way it counts as current for rule 2 */
	if
	:: copied == b + 1 && RESYNC_ENDS -> copied = 0
	:: else
	fi
}

inline drop(out)
{
	d_step {
		ph == RUN && ne == 0 && nep < NEP && (out & ~bad) == 0 && MAY_RAISE(in & ~(out)) &&
		(out == bad || !MAY_RAISE(in & ~bad)) ->
		raise(in & ~(out))
	}
}

inline keep(b)
{
	d_step {
		ph == RUN && ne == 0 && HAS(bad, b) && UP(b) &&
		!MAY_RAISE(in & ~bad) && !MAY_RAISE(in & ~B(b)) ->
		bad = bad & ~B(b)
	}
}

inline follow()
{
	d_step { ph == RUN && HELD && ne == 0 && bad == 0 && nep < NEP -> raise(in) }
}

inline epoch_to(b)
{
	if
	:: HAS(ep_in[ne], b) && UP(b) -> put_epoch(b)
	:: HAS(ep_in[ne], b) && !UP(b) && b != back - 1 -> failed(b)
	:: else
	fi
}

inline run_epoch()
{
	atomic {
		ph == RUN && ne != 0 ->
		epoch_to(0); epoch_to(1); epoch_to(2);
		if
		:: (ep_in[ne] & ~link) == 0 ->
			cur = ne; in = ep_in[ne]; good = in; rm = rm & in;
			bad = bad & in; wf = wf & in; half = 0
		:: else -> half = 1
		fi;
		ne = 0; back = 0
	}
}

#ifdef ADMIT_WITH_ORPHANS
#define NO_ORPHANS(b)	true
#else
#define NO_ORPHANS(b)	(orphan != b + 1)
#endif

#define STAMP_DUE	(UNSTAMPED && (c_set || wst == 1 || NEW_INDEX))
#ifdef INDEX_REUSED_EARLY
#define NEW_INDEX	false
#else
#define NEW_INDEX	(blank[0] && HAS(c_insync, 0) || blank[1] && HAS(c_insync, 1) || blank[2] && HAS(c_insync, 2))
#endif

/* the last comparison: from here on metadata changes wait for the epoch */
inline compare(b)
{
	d_step {
		QUIET && !HELD && nep < NEP && !ckpt && bad == 0 && !HAS(in, b) && UP(b) && NO_ORPHANS(b) && !STAMP_DUE ->
		put_slot(b);
		back = b + 1
	}
}

inline readmit(b)
{
	d_step {
		ph == RUN && back == b + 1 && ne == 0 && nep < NEP && rop == 0 ->
		raise(in | B(b))
	}
}

inline ring_begin(op)
{
	rop = op;
	v_lsn++; v_set = 1;
	v_gen = c_gen; v_legs = c_legs; v_insync = c_insync; v_epoch = c_epoch;
	if
	:: op == STP -> v_epoch = cur; v_insync = c_insync & in; ckpt = 0
	:: else -> ckpt = (op == CKP)
	fi
}

#ifdef METADATA_DURING_READMIT
#define RING_FREE	(ph == RUN && rop == 0 && !HELD)
#else
#define RING_FREE	(ph == RUN && rop == 0 && back == 0 && !HELD)
#endif

inline ring_to(b)
{
	if
	:: HAS(rm, b) && UP(b) -> d_step { put_ring(b) }
	:: HAS(rm, b) && !UP(b) -> failed(b)
	:: else
	fi
}

inline ring_done()
{
	if
	:: rop == CKP -> ckpt = 0; c_set = 0; c_act = 0
	:: else ->
		c_gen = v_gen; c_legs = v_legs; c_insync = v_insync; c_epoch = v_epoch; c_set = 1;
		if
		:: rop == ACT -> c_act = 1
		:: rop == INS -> copied = 0
		:: rop == ALC || rop == FRE -> c_act = 0; may = 1; copied = 0; dirty = 0
		:: else
		fi
	fi;
	rop = 0;
	settle()
}

inline ring_write()
{
	atomic {
		ph == RUN && rop != 0 && !HELD && ((rm & ~link) == 0 || (rm & ~link & ~bad) != 0) ->
		ring_to(0); ring_to(1); ring_to(2);
		if
		:: (rm & ~link) == 0 -> d_step { ring_done() }
		:: else
		fi
	}
}

inline stamp()
{
	d_step { RING_FREE && ne == 0 && STAMP_DUE -> ring_begin(STP) }
}

inline write_begin()
{
	d_step { ph == RUN && wst == 0 && c_legs != 0 && issued < MAXW + 1 && (rop != FRE) && rop != ALC ->
		wst = 1; issued++; wv = issued }
}

inline write_activate()
{
	d_step { RING_FREE && wst == 1 && !UNSTAMPED && !c_act -> ring_begin(ACT) }
}

inline write_to(b)
{
	if
	:: HAS(TARGETS & ~bad, b) && UP(b) -> d_gen[b] = c_gen; d_val[b] = wv
	:: HAS(TARGETS, b) && (!UP(b) || HAS(bad, b)) ->
		if
		:: orphan == 0 && !HAS(bad, b) -> orphan = b + 1; o_gen = c_gen; o_val = wv
		:: skip
		fi;
		failed(b); wf = wf | B(b)
	:: else
	fi
}

inline write_send()
{
	atomic {
		CAN_SEND ->
		may = may | B(wv);
		write_to(0); write_to(1); write_to(2);
		wst = 2
	}
}

inline write_again(b)
{
	atomic {
		ph == RUN && wst == 2 && HAS(wf & in & ~bad, b) && UP(b) && NO_ORPHANS(b) ->
		wf = wf & ~B(b); d_gen[b] = c_gen; d_val[b] = wv
	}
}

inline write_ack()
{
	d_step {
		ph == RUN && wst == 2 && (wf & in) == 0 && !UNSTAMPED && !HELD ->
		may = B(wv); wst = 0; wv = 0; wf = 0; dirty = 0
	}
}

/* on_loss=error, on a leg that had to stay */
inline write_error()
{
	d_step {
		ph == RUN && wst == 2 && (wf & in & ~bad) != 0 ->
		wst = 0; wv = 0; wf = 0; dirty = 1
	}
}

/* it was given up at its deadline and is done all the same, or never */
inline orphan_ends(b)
{
	atomic {
		orphan == b + 1 && UP(b) ->
		if
		:: d_gen[b] = o_gen; d_val[b] = o_val
		:: skip
		fi;
		orphan = 0; o_gen = 0; o_val = 0
	}
}

inline free_chunk()
{
	d_step {
		RING_FREE && ne == 0 && metas < META && c_legs != 0 && wst == 0 ->
		metas++;
		ring_begin(FRE); v_legs = 0; v_insync = 0; v_epoch = cur; may = may | 1
	}
}

#ifdef NO_QUARANTINE
#define QUARANTINED(m)	0
#else
#define QUARANTINED(m)	(orphan != 0 -> HAS(m, orphan - 1) : 0)
#endif

/* a slot is used again once its free is durable */
inline alloc_chunk(m)
{
	d_step {
		RING_FREE && ne == 0 && metas < META && c_legs == 0 && ((m) & ~in) == 0 && bad == 0 &&
		QUARANTINED(m) == 0 ->
		metas++; last_gen++;
		ring_begin(ALC); v_gen = last_gen; v_legs = m; v_insync = m; v_epoch = cur
	}
}

inline checkpoint()
{
	d_step { RING_FREE && ne == 0 && !ckpt && c_set && bad == 0 && wst != 2 && !UNSTAMPED && !dirty -> ckpt = 1 }
}

inline page_to(b)
{
	if
	:: HAS(in, b) && UP(b) -> d_step { put_slot(b) }
	:: HAS(in, b) && !UP(b) -> failed(b); ckpt = 0
	:: else
	fi
}

inline checkpoint_pages()
{
	atomic {
		RING_FREE && ne == 0 && ckpt && wst != 2 && !dirty ->
		page_to(0); page_to(1); page_to(2);
		if
		:: ckpt ->
			d_step {
				ring_begin(CKP);
				v_set = 0; v_gen = 0; v_legs = 0; v_insync = 0; v_epoch = 0
			}
		:: else
		fi
	}
}

/* rows are copied under their lock; from then on writes go there too */
inline copy(b, s)
{
	d_step {
		QUIET && copied == 0 && wst != 2 && bad == 0 && HAS(c_legs & in & ~c_insync, b) && HAS(CURRENT, s) &&
		UP(b) && UP(s) && !UNSTAMPED ->
		d_gen[b] = c_gen; d_val[b] = SEEN(s);
		copied = b + 1
	}
}

/* flushed, then recorded */
inline insync(b)
{
	d_step {
		RING_FREE && ne == 0 && copied == b + 1 && UP(b) && !UNSTAMPED && wst != 2 ->
		ring_begin(INS); v_epoch = cur; v_insync = c_insync | B(b)
	}
}

/* a leg elsewhere, in the place of one that is out */
inline rebuild(b, o)
{
	d_step {
		RING_FREE && ne == 0 && bad == 0 && c_legs != 0 && HAS(c_legs & ~in, o) && HAS(in & ~c_legs, b) && CURRENT != 0 &&
		copied == 0 && QUARANTINED(B(b)) == 0 ->
		ring_begin(LEG); v_legs = (c_legs & ~B(o)) | B(b); v_insync = c_insync & in & ~B(o) & ~B(b); v_epoch = cur
	}
}

/* a new disk at the index of one that is out */
inline replace(b)
{
	d_step {
		!UP(b) && ph == RUN && !HAS(in, b) && !blank[b] && ne == 0 && back == 0 ->
		blank[b] = 1; link = link | B(b);
		s_gen[b] = 0; s_insync[b] = 0; s_epoch[b] = 0; d_gen[b] = 0; d_val[b] = 0; sb_epoch[b] = 0; sb_gen[b] = 0;
		if
		:: orphan == b + 1 -> orphan = 0; o_gen = 0; o_val = 0
		:: else
		fi
	}
}

init {
	d_step {
		ep_in[0] = ALL; ep_hist[0] = 1;
		s_gen[0] = 1; s_gen[1] = 1; s_insync[0] = 3; s_insync[1] = 3;
		d_gen[0] = 1; d_gen[1] = 1; d_val[0] = 1; d_val[1] = 1;
		c_gen = 1; c_legs = 3; c_insync = 3;
		in = ALL; good = ALL; rm = ALL;
		ph = RUN;
		settle()
	}
	do
	:: d_step { losses < LOSSES && UP(0) -> link = link & ~B(0); losses++; first = 1 }
	:: d_step { losses < LOSSES && UP(1) && first -> link = link & ~B(1); losses++ }
	:: d_step { losses < LOSSES && UP(2) -> link = link & ~B(2); losses++ }
	:: d_step { !UP(0) -> link = link | B(0) }
	:: d_step { !UP(1) -> link = link | B(1) }
	:: d_step { !UP(2) -> link = link | B(2) }
	:: replace(0) :: replace(1) :: replace(2)
	:: atomic { ph != DOWN && crashes < CRASHES -> crashes++; crash() }

	:: atomic { ph == DOWN -> activate() }
	:: atomic { ph != DOWN && ph != RUN -> next_phase() }

	:: drop(1) :: drop(2) :: drop(3) :: drop(4) :: drop(5) :: drop(6)
	:: keep(0) :: keep(1) :: keep(2)
	:: run_epoch() :: follow()
	:: compare(0) :: compare(1) :: compare(2)
	:: readmit(0) :: readmit(1) :: readmit(2)
	:: ring_write()
	:: stamp()
	:: write_begin() :: write_activate() :: write_send()
	:: write_again(0) :: write_again(1) :: write_again(2)
	:: write_ack() :: write_error()
	:: orphan_ends(0) :: orphan_ends(1) :: orphan_ends(2)
	:: free_chunk() :: alloc_chunk(3) :: alloc_chunk(5) :: alloc_chunk(6)
	:: checkpoint() :: checkpoint_pages()
	:: copy(0, 1) :: copy(0, 2) :: copy(1, 0) :: copy(1, 2) :: copy(2, 0) :: copy(2, 1)
	:: insync(0) :: insync(1) :: insync(2)
	:: rebuild(0, 1) :: rebuild(0, 2) :: rebuild(1, 0) :: rebuild(1, 2) :: rebuild(2, 0) :: rebuild(2, 1)

	:: QUIET && link == ALL && wst == 0 && bad == 0 && in == ALL && (c_insync & c_legs) == c_legs -> break
	:: nep == NEP -> break
	od
}

#define WRONG(b)	(HAS(CURRENT, b) && !HAS(may, SEEN(b)))

active proctype reader()
{
end:
	atomic { ph == RUN && (WRONG(0) || WRONG(1) || WRONG(2)) -> assert(current_legs_hold_what_was_written) }
}
