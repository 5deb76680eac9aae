/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Membership: epochs, stamps, suspects, activation, the last current legs
 * (rules 1 to 5 and the ring's members).
 *
 * Three backends. Chunk: replicas=2 (M = 1), one block, legs on backends 0
 * and 1; backend 2 is a witness that holds superblock and ring only. All three
 * are ring members at first. One host runs the pool, crashes, and activates
 * with whatever it reaches.
 *
 * What a backend holds durably: its superblock (epoch, ring generation, ring
 * members), its copy of the ring, the chunk's slot table entry and checksum
 * page, the block, and a volatile cache of one block. The ring is appended in
 * order, so a prefix is told by what it adds up to: its LSN, whether it names
 * the chunk, the last stamp, the last checksum.
 *
 * Everything that the host does is one guarded step. Writes that go to several
 * backends together are one step: each backend that is there has it, and the
 * host sees which were not. A crash while they are in flight leaves any subset
 * of them. Between two steps a link can break or come back. Backends' caches
 * live on while the host does, unless an I/O to them fails.
 */

/* RUN: writes quick | -DLOSSES=1 -DCRASHES=2 -DMAXW=2 | -DHC4 | -m100000 -w22 */
/* RUN: loss | -DLOSSES=2 -DCRASHES=1 -DMAXW=1 | -DHC4 | -m100000 -w24 */
/* RUN: losses | -DLOSSES=2 -DCRASHES=2 -DMAXW=1 | -DHC4 | -m100000 -w26 */
/* RUN: losses2 | -DLOSSES=2 -DCRASHES=1 -DMAXW=2 | -DHC4 | -m100000 -w26 */

/* SWITCH: SKIP_STAMPS | writes | 2: every chunk with a leg on it is stamped with the epoch */
/* SWITCH: STAMP_SKIPS_RING | writes | 2: and any ring record since the last completed checkpoint */
/* SWITCH: ACK_BEFORE_EPOCH | writes | 2: a new epoch is durable before any write or flush that depends on it
   is acknowledged */
/* SWITCH: ACTIVATION_SKIPS_STAMPS | writes | 2: activation stamps the same way for every backend that is not in */
/* SWITCH: ABSENT_STAYS_IN | loss | 3: a backend absent at activation is suspect, durably */
/* SWITCH: READMIT_KEEPS_TABLES | loss | 3: suspect until its tables equal the pool's */
/* SWITCH: READMIT_BEFORE_STAMPS | writes | 3: every stale leg out of insync, before it is let in */
/* SWITCH: INSYNC_BEFORE_FLUSH | writes | 3: enters insync by a record written after its data is flushed */
/* SWITCH: LAST_LEGS_GO_OUT | loss | 4: no epoch leaves a chunk with fewer than K current legs */
/* SWITCH: KEPT_FLUSH_FORGETS | writes | 4: after a failed flush every flush fails until all unflushed writes
   were written again */
/* SWITCH: FLUSH_FORGETS_OTHER_FAILURES | writes | 4: a failure of any I/O is a failure of the flush */
/* SWITCH: SPLIT_BY_TAG_ALONE | losses | 5: an epoch that a member in by it lacks was never in force */
/* SWITCH: GENERATION_BEFORE_PAGES | writes | Ring, replay: pages are written before the new ring generation */

#ifndef MAXW
#define MAXW	2		/* writes */
#endif
#ifndef LOSSES
#define LOSSES	2		/* links that break */
#endif
#ifndef CRASHES
#define CRASHES	2
#endif
#ifndef NEP
#define NEP	7		/* epochs, the first included */
#endif

#ifdef SPLIT_BY_TAG_ALONE
#define VOID_EPOCHS_COUNT
#endif
#include "epochs.h"

#define LEGS		3		/* a mask */
#define NOV		7	/* no value */
#define UP(b)		HAS(link, b)

/* the host's phases */
#define DOWN	0
#define COPY	1		/* the union of the ring goes to every member */
#define EPOCH	2		/* absent members go out */
#define STAMP	3
#define RECON	4		/* reconcile, pages */
#define GEN	5		/* new ring generation */
#define RUN	6

/* ring operations */
#define ACT	1		/* active range */
#define STP	2		/* stamp */
#define INS	3		/* insync change after a resync */
#define CSM	4		/* checksums: a flush */
#define CKP	5		/* end of a checkpoint: what was before is freed */

/* ghosts: what the whole world knows */
byte link = ALL;
byte losses, crashes;
bool first;			/* backends 0 and 1 are alike: 0 is lost first */
byte flushed;			/* newest value that a flush was acknowledged for */
byte issued;			/* newest value written */
byte acked;			/* newest value acknowledged */

/* a backend's superblock */
byte sb_gen[3];
byte sb_ring[3];
/* its ring copy */
byte r_lsn[3], r_sepoch[3], r_sinsync[3], r_csum[3];
bool r_any[3], r_act[3];
/* its slot table entry, checksum page, block and cache */
byte t_epoch[2], t_insync[2], t_csum[2];
byte medium[2], cache[2];

/* the host's memory */
byte ph;
byte cur;			/* epoch */
byte in;			/* members that are in */
byte rm;			/* ring members */
byte gen;			/* ring generation */
byte good;			/* members that were in by the last epoch that was raised */
byte bad;			/* members whose failure is seen and not yet durable */
byte lost;			/* ... and that may have lost acknowledged writes */
byte tip;			/* newest epoch that was begun */
byte ne;			/* epoch that is being written, or 0 */
byte back;			/* the backend that it lets in again */
byte c_epoch, c_insync, c_csum;	/* chunk */
bool c_any, c_act;		/* named in the ring; range active */
byte rop;			/* ring operation */
byte v_lsn, v_sepoch, v_sinsync, v_csum;	/* the ring with that operation */
bool v_any, v_act;
byte wst, wv, wp, wf;		/* write: state, value, legs pending, failed */
byte fst, fv, fp, ff;		/* flush: the same */
bool ckpt;			/* checkpoint: its flush is done, its pages are not */
bool ckpt_again;		/* a write began since */

hidden byte changed;

/* never true: what must not be false, for the verifier to name */
hidden byte flushed_is_on_every_current_leg, flushed_is_read_after_activation;
hidden byte activates_with_all_there, activates_after_one_loss;

#define CUR_LEGS	(c_insync & in)
#define VAL(b)		(cache[b] != NOV -> cache[b] : medium[b])
#ifdef SKIP_STAMPS
#define UNSTAMPED	false
#else
#define UNSTAMPED	((c_insync & ~in) != 0)
#endif
/* a chunk named in the ring is stamped at once, another before its first write */
#ifdef STAMP_SKIPS_RING
#define STAMP_DUE	(UNSTAMPED && wst == 1)
#define OWED		false
#else
#define STAMP_DUE	(UNSTAMPED && (c_any || wst == 1))
#define OWED		UNSTAMPED
#endif
#ifdef ACK_BEFORE_EPOCH
#define FAILED(m)	((m) & in & ~bad)
#else
#define FAILED(m)	((m) & in)
#endif
#ifdef READMIT_BEFORE_STAMPS
#define MAY_READMIT	true
#else
#define MAY_READMIT	(!STAMP_DUE)
#endif
#define QUIET		(rop == 0 && ne == 0)

/* --- environment -------------------------------------------------------- */

inline io_failed(b)
{
	bad = bad | B(b);
	if
#ifndef FLUSH_FORGETS_OTHER_FAILURES
	:: fst == 1 -> ff = ff | B(b)	/* a failure of any kind is the flush's too */
#endif
	:: else
	fi;
	if
	:: b < 2 && cache[b] != NOV ->
		lost = lost | B(b);
		if
		:: cache[b] = NOV
		:: skip
		fi
	:: else
	fi
}

inline forget()
{
	d_step {
		ph = DOWN; cur = 0; tip = 0; in = 0; rm = 0; gen = 0; good = 0; bad = 0; lost = 0;
		ne = 0; back = 0;
		c_epoch = 0; c_insync = 0; c_csum = 0; c_any = 0; c_act = 0;
		rop = 0;
		v_lsn = 0; v_sepoch = 0; v_sinsync = 0; v_csum = 0; v_any = 0; v_act = 0;
		wst = 0; wv = 0; wp = 0; wf = 0; fst = 0; fv = 0; fp = 0; ff = 0; ckpt = 0; ckpt_again = 0
	}
}

inline power_cut(b)
{
	if
	:: cache[b] != NOV -> medium[b] = cache[b]; cache[b] = NOV
	:: cache[b] = NOV
	fi
}

inline raise(m)
{
	ne = nep; nep++;
	ep_in[ne] = m; ep_hist[ne] = ep_hist[tip] | B(ne);
	tip = ne
}

/* --- activation --------------------------------------------------------- */

/* the ring's newest copy into v_*, its gen and members */
inline find_ring()
{
	gen = 0; rm = 0;
	i = 0;
	do
	:: i < 3 ->
		if
		:: HAS(x, i) && sb_gen[i] >= gen -> gen = sb_gen[i]; rm = sb_ring[i]
		:: else
		fi;
		i++
	:: else -> break
	od;
	rm = rm & x;
	e = NONE;
	i = 0;
	do
	:: i < 3 ->
		if
		:: HAS(rm, i) && sb_gen[i] == gen && (e == NONE || r_lsn[i] > v_lsn) ->
			e = i;
			v_lsn = r_lsn[i]; v_sepoch = r_sepoch[i]; v_sinsync = r_sinsync[i];
			v_csum = r_csum[i]; v_any = r_any[i]; v_act = r_act[i]
		:: else
		fi;
		i++
	:: else -> break
	od
}

/* the chunk's entry: the tables of x, then the ring */
inline find_chunk()
{
	c_epoch = NONE; c_csum = 0;
	i = 0;
	do
	:: i < 2 ->
		if
		:: HAS(x, i) && (c_epoch == NONE || HAS(ep_hist[t_epoch[i]], c_epoch)) ->
			c_epoch = t_epoch[i]; c_insync = t_insync[i]
		:: else
		fi;
		if
		:: HAS(x, i) && t_csum[i] > c_csum -> c_csum = t_csum[i]
		:: else
		fi;
		i++
	:: else -> break
	od;
	if
	:: c_epoch != NONE ->
		/* a leg whose own entry is older is not current */
		i = 0;
		do
		:: i < 2 ->
			if
			:: HAS(x & c_insync, i) && t_epoch[i] != c_epoch ->
				c_insync = c_insync & ~B(i)
			:: else
			fi;
			i++
		:: else -> break
		od
	:: else
	fi;
	if
	:: v_sepoch != NONE -> c_epoch = v_sepoch; c_insync = v_sinsync
	:: else
	fi;
	if
	:: v_csum != NOV -> c_csum = v_csum
	:: else
	fi;
	c_any = v_any; c_act = v_act
}

/*
 * One attempt. It stays DOWN where the operator must decide or where a last
 * current leg is absent; with everything there neither may be.
 */
inline activate()
{
	d_step {
		reach = link;
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
			x = in & reach;
			find_ring();
			ok = (e != NONE);
			x = in & reach;
			if
			:: ok ->
				find_chunk();
				ok = (c_epoch != NONE && (c_insync & in & reach) != 0)
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
#ifndef ABSENT_STAYS_IN
			if
			:: (in & ~reach) != 0 -> changed = true
			:: else
			fi;
#endif
			in = in & reach;
			rm = rm & in;
			tip = cur;
			if
			:: changed && nep < NEP -> raise(in); ph = COPY
			:: changed && nep == NEP -> forget()
			:: !changed -> ph = COPY
			fi
		:: else ->
			/* no operator needed with everything there, nor after one loss */
			if
			:: reach == ALL -> assert(activates_with_all_there)
			:: reach != ALL && losses == 1 -> assert(activates_after_one_loss)
			:: else
			fi;
			forget()
		fi
	}
}

inline put_ring(b)
{
	r_lsn[b] = v_lsn; r_sepoch[b] = v_sepoch; r_sinsync[b] = v_sinsync;
	r_csum[b] = v_csum; r_any[b] = v_any; r_act[b] = v_act
}

inline put_chunk(b)
{
	t_epoch[b] = c_epoch; t_insync[b] = c_insync; t_csum[b] = c_csum
}

/* a superblock is one write: the epoch, the ring's generation and members */
inline put_epoch(b)
{
	sb_epoch[b] = ne; sb_gen[b] = gen; sb_ring[b] = rm & ep_in[ne]
}

/* what a phase of the activation writes to one backend */
inline put_phase(b)
{
	if
	:: (ph == COPY || ph == STAMP) && HAS(rm, b) -> put_ring(b)
	:: ph == EPOCH && HAS(in, b) && ne != 0 -> put_epoch(b)
	:: ph == RECON && b < 2 && HAS(in, b) && c_any ->
		if
		:: HAS(c_insync, b) -> medium[b] = c_csum; cache[b] = NOV
		:: else
		fi;
#ifndef GENERATION_BEFORE_PAGES
		put_chunk(b)
#endif
	:: ph == GEN && HAS(in, b) -> sb_gen[b] = gen; sb_ring[b] = in; put_ring(b)
	:: else
	fi
}

/* what was in flight when the host stopped is there or not */
inline torn(b)
{
	if
	:: UP(b) && ph != RUN && ph != DOWN && HAS(in, b) -> d_step { put_phase(b) }
	:: UP(b) && ph == RUN && ne != 0 && HAS(ep_in[ne], b) -> put_epoch(b)
	:: UP(b) && ph == RUN && rop != 0 && HAS(rm, b) -> d_step { put_ring(b) }
	:: b < 2 && UP(b) && ph == RUN && ckpt && rop == 0 && HAS(in, b) -> d_step { put_chunk(b) }
	:: skip
	fi;
	if
	:: b < 2 && UP(b) && ph == RUN && wst == 2 && HAS(wp, b) -> cache[b] = wv
	:: skip
	fi
}

inline crash()
{
	torn(0); torn(1); torn(2);
	forget()
}

/* rule 6: a current leg that matches wins, else one copy is taken for all */
inline choose()
{
	if
	:: HAS(c_insync & in, 0) && VAL(0) == c_csum
	:: HAS(c_insync & in, 1) && VAL(1) == c_csum
	:: else ->
		if
		:: HAS(c_insync & in, 0) -> c_csum = VAL(0)
		:: HAS(c_insync & in, 1) -> c_csum = VAL(1)
		fi
	fi
}

/* LSNs are only compared: one that all ring members have is 1, an older one 0 */
inline settle()
{
	i = 0;
	do
	:: i < 3 && HAS(rm, i) -> r_lsn[i] = 1; i++
	:: i < 3 && !HAS(rm, i) -> r_lsn[i] = 0; i++
	:: else -> break
	od;
	v_lsn = 1
}

#define RESET_V	v_lsn = 0; v_sepoch = NONE; v_sinsync = 0; v_csum = NOV; v_any = 0; v_act = 0

/* the phase's writes are done; whoever is not there ends the attempt */
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
#ifndef ACTIVATION_SKIPS_STAMPS
				:: c_any && (c_insync & ~in) != 0 ->
					v_lsn++; v_sepoch = cur; v_sinsync = c_insync & in
#endif
				:: else
				fi
			:: ph == STAMP ->
				ph = RECON;
				if
				:: v_sepoch != NONE -> c_epoch = v_sepoch; c_insync = v_sinsync
				:: else
				fi;
				if
				:: c_any -> choose()
				:: else
				fi
			:: ph == RECON -> ph = GEN; gen++; RESET_V
			:: ph == GEN ->
				if
				:: c_csum < flushed -> assert(flushed_is_read_after_activation)
				:: else
				fi;
				ph = RUN; rm = in; c_any = 0; c_act = 0;
				flushed = c_csum; acked = c_csum; settle()
			fi
	fi
}

/* --- running ------------------------------------------------------------ */

/* rules 4 and 10: may the members in m go on without the others? */
#ifdef LAST_LEGS_GO_OUT
#define MAY_RAISE(m)	((rm & (m)) != 0 && CNT(m) * 2 >= CNT(good))
#else
#define MAY_RAISE(m)	((c_insync & (m)) != 0 && (rm & (m)) != 0 && CNT(m) * 2 >= CNT(good))
#endif

/* the members in out are to go, as many of the bad as may */
inline drop(out)
{
	d_step {
		ph == RUN && ne == 0 && nep < NEP && (out & ~bad) == 0 && MAY_RAISE(in & ~(out)) &&
		(out == bad || !MAY_RAISE(in & ~bad)) ->
		raise(in & ~(out))
	}
}

/* one that must stay is tried again when it answers */
inline keep(b)
{
	d_step {
		ph == RUN && ne == 0 && HAS(bad, b) && UP(b) &&
		!MAY_RAISE(in & ~bad) && !MAY_RAISE(in & ~B(b)) ->
		bad = bad & ~B(b)
	}
}

inline epoch_to(b)
{
	if
	:: HAS(ep_in[ne], b) && UP(b) -> put_epoch(b)
	:: HAS(ep_in[ne], b) && !UP(b) && b != back - 1 -> io_failed(b)
	:: else
	fi
}

/* where one more fails, another epoch follows this one */
inline run_epoch()
{
	atomic {
		ph == RUN && ne != 0 ->
		epoch_to(0); epoch_to(1); epoch_to(2);
		if
		:: (ep_in[ne] & ~link) == 0 ->
			cur = ne; in = ep_in[ne]; good = in; rm = rm & in;
			bad = bad & in; lost = lost & in; wf = wf & in; ff = ff & in
		:: else
		fi;
		ne = 0; back = 0
	}
}

/* readmission, whole: the tables are made equal, flushed, and an epoch says so */
inline readmit(b)
{
	d_step {
		ph == RUN && ne == 0 && rop == 0 && nep < NEP && !ckpt && bad == 0 &&
		!HAS(in, b) && UP(b) && MAY_READMIT ->
		if
		:: b < 2 ->
#ifndef READMIT_KEEPS_TABLES
			put_chunk(b);
#endif
			cache[b] = NOV
		:: else
		fi;
		raise(in | B(b));
		back = b + 1
	}
}

inline ring_begin(op)
{
	rop = op;
	v_lsn++; v_any = 1;
	if
	:: op == ACT -> v_act = 1
	:: op == STP -> v_sepoch = cur; v_sinsync = c_insync & in; ckpt = 0
	:: op == CSM -> v_csum = fv; ckpt = 0
	:: op == CKP -> v_any = ckpt_again; v_act = v_any; v_sepoch = NONE; v_sinsync = 0; v_csum = NOV
	:: else
	fi
}

#define RING_FREE	(ph == RUN && rop == 0 && back == 0)

inline ring_done()
{
	if
	:: rop == STP || rop == INS -> c_epoch = v_sepoch; c_insync = v_sinsync
	:: rop == CSM -> c_csum = fv; flushed = fv; fst = 0; fv = 0
	:: rop == CKP -> ckpt = 0; ckpt_again = 0
	:: else
	fi;
	c_any = v_any; c_act = v_act;
	rop = 0;
	settle()
}

inline ring_to(b)
{
	if
	:: HAS(rm, b) && UP(b) -> d_step { put_ring(b) }
	:: HAS(rm, b) && !UP(b) -> io_failed(b)
	:: else
	fi
}

inline ring_write()
{
	atomic {
		ph == RUN && rop != 0 && ((rm & ~link) == 0 || (rm & ~link & ~bad) != 0) ->
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
	d_step { ph == RUN && wst == 0 && issued < MAXW -> wst = 1; issued++; wv = issued }
}

inline write_activate()
{
	d_step { RING_FREE && wst == 1 && !UNSTAMPED && !c_act -> ring_begin(ACT) }
}

inline write_send()
{
	d_step {
		ph == RUN && wst == 1 && c_act && !UNSTAMPED && rop != INS && rop != CKP ->
		wst = 2; wp = c_insync & in; wf = 0; ckpt_again = ckpt
	}
}

inline write_to(b)
{
	if
	:: HAS(wp, b) && UP(b) ->
		/* the only block: all that was unflushed is written again */
		cache[b] = wv; lost = lost & ~B(b)
	:: HAS(wp, b) && !UP(b) -> io_failed(b); wf = wf | B(b)
	:: else
	fi
}

inline write_legs()
{
	atomic {
		ph == RUN && wst == 2 && wp != 0 ->
		write_to(0); write_to(1);
		wp = 0
	}
}

inline write_again(b)
{
	d_step {
		ph == RUN && wst == 2 && HAS(wf & in & ~bad, b) ->
		wf = wf & ~B(b); wp = wp | B(b)
	}
}

inline write_ack()
{
	d_step {
		ph == RUN && wst == 2 && wp == 0 && FAILED(wf) == 0 && !OWED ->
		acked = wv; wst = 0; wv = 0; wf = 0
	}
}

#ifdef KEPT_FLUSH_FORGETS
#define FORGOTTEN	0
#else
#define FORGOTTEN	lost
#endif

inline flush_begin()
{
	d_step { ph == RUN && fst == 0 && acked > flushed -> fst = 1; fv = acked; fp = c_insync & in; ff = FORGOTTEN }
}

inline flush_to(b)
{
	if
	:: HAS(fp, b) && UP(b) && cache[b] != NOV -> medium[b] = cache[b]; cache[b] = NOV
	:: HAS(fp, b) && !UP(b) -> io_failed(b); ff = ff | B(b)
	:: else
	fi
}

inline flush_legs()
{
	atomic {
		ph == RUN && fst == 1 && fp != 0 ->
		flush_to(0); flush_to(1);
		fp = 0
	}
}

inline flush_record()
{
	d_step {
		RING_FREE && fst == 1 && fp == 0 && FAILED(ff) == 0 && !OWED ->
		fst = 2; fp = 0; ff = 0; ring_begin(CSM)
	}
}

/* on a member that had to be kept */
inline flush_fail()
{
	d_step {
		ph == RUN && fst == 1 && fp == 0 && (ff & in & ~bad) != 0 ->
		fst = 0; fv = 0; ff = 0
	}
}

inline checkpoint()
{
	d_step {
		ph == RUN && !ckpt && c_any && rop == 0 && ne == 0 && bad == 0 && wst != 2 && fst == 0 &&
		acked == flushed && !UNSTAMPED ->
		ckpt = 1; ckpt_again = 0
	}
}

inline page_to(b)
{
	if
	:: HAS(in, b) && UP(b) -> d_step { put_chunk(b) }
	:: HAS(in, b) && !UP(b) -> io_failed(b); ckpt = 0
	:: else
	fi
}

inline checkpoint_pages()
{
	atomic {
		RING_FREE && ne == 0 && ckpt ->
		page_to(0); page_to(1);
		if
		:: ckpt -> d_step { ring_begin(CKP) }
		:: else
		fi
	}
}

/* the chunk is copied, flushed, and a record says so; writes wait meanwhile */
inline resync(b, s)
{
	d_step {
		RING_FREE && ne == 0 && !ckpt && bad == 0 && wst != 2 &&
		HAS(in & ~c_insync, b) && HAS(in & c_insync, s) && UP(b) && UP(s) && !UNSTAMPED ->
#ifdef INSYNC_BEFORE_FLUSH
		cache[b] = VAL(s);
#else
		medium[b] = VAL(s); cache[b] = NOV;
#endif
		t_csum[b] = c_csum;
		ring_begin(INS); v_sepoch = cur; v_sinsync = c_insync | B(b)
	}
}

init {
	d_step {
		ep_in[0] = ALL; ep_hist[0] = 1;
		i = 0;
		do
		:: i < 3 -> sb_ring[i] = ALL; r_sepoch[i] = NONE; r_csum[i] = NOV; i++
		:: else -> break
		od;
		t_insync[0] = LEGS; t_insync[1] = LEGS; cache[0] = NOV; cache[1] = NOV;
		cur = 0; in = ALL; good = ALL; rm = ALL;
		v_sepoch = NONE; v_csum = NOV; c_insync = LEGS;
		ph = RUN
	}
	do
	:: d_step { losses < LOSSES && UP(0) -> link = link & ~B(0); losses++; first = 1 }
	:: d_step { losses < LOSSES && UP(1) && first != 0 -> link = link & ~B(1); losses++ }
	:: d_step { losses < LOSSES && UP(2) -> link = link & ~B(2); losses++ }
	:: d_step { !UP(0) -> link = link | B(0) }
	:: d_step { !UP(1) -> link = link | B(1) }
	:: d_step { !UP(2) -> link = link | B(2) }
	:: atomic {
		ph != DOWN && crashes < CRASHES ->
		crashes++; crash(); power_cut(0); power_cut(1)
	   }

	:: atomic { ph == DOWN -> activate() }
	:: atomic { ph != DOWN && ph != RUN -> next_phase() }

	:: drop(1) :: drop(2) :: drop(3) :: drop(4) :: drop(5) :: drop(6)
	:: keep(0) :: keep(1) :: keep(2)
	:: run_epoch()
	:: readmit(0) :: readmit(1) :: readmit(2)
	:: ring_write()
	:: stamp()
	:: write_begin() :: write_activate() :: write_send()
	:: write_legs()
	:: write_again(0) :: write_again(1)
	:: write_ack()
	:: flush_begin() :: flush_legs() :: flush_record() :: flush_fail()
	:: checkpoint() :: checkpoint_pages()
	:: resync(0, 1) :: resync(1, 0)

	:: ph == RUN && link == ALL && QUIET && wst == 0 && fst == 0 && !ckpt && bad == 0 &&
	   in == ALL && c_insync == LEGS -> break
	:: nep == NEP -> break
	od
}

#define STALE(b)	(HAS(c_insync & in, b) && medium[b] < flushed)

active proctype reader()
{
end:
	atomic { ph == RUN && (STALE(0) || STALE(1)) -> assert(flushed_is_on_every_current_leg) }
}
