/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ownership: lease, takeover, hand-over to a standby, half-written epochs, two
 * hosts at once (rule 10).
 *
 * Two hosts, NB backends, and a link from each host to each backend that can
 * break and come back. A backend holds a heartbeat block and a superblock's
 * epoch; an epoch is an index into ep_in[] and ep_hist[] (members.pml).
 *
 * Time is a tick that ages what is remembered, up to T where it stays: nothing
 * has to happen before a tick, so a host can stall for as long as it likes
 * between any two steps. Hosts measure time alike.
 *
 * A heartbeat reads a block, then writes it (with ROUNDS: those of all members
 * together, which makes three backends small enough). The write is in flight for as
 * long as it likes, and lands even where its host has stopped meanwhile. All
 * other writes are taken to land when they are issued: what a backend still
 * executes after that cannot be fenced, and is not claimed.
 *
 * Left out: data, and what an activation does with it (members.pml). The
 * operator, who may always say that he knows better.
 *
 */

/* RUN: rounds quick | -DNB=2 -DROUNDS -DFLAPS=2 | -DHC4 | -m100000 -w22 */
/* RUN: two | -DNB=2 -DFLAPS=2 | -DHC4 | -m100000 -w26 */
/* RUN: three | -DNB=3 -DROUNDS -DFLAPS=3 -DNEP=2 -DACTS0=1 | -DHC4 | -m100000 -w24 */

/* SWITCH: LAPSED_LEASE_RENEWED | rounds | 10: writes are issued only while the lease is young (one that has run out is
   not renewed) */
/* SWITCH: HAND_OVER_IN_ANY_TIME | rounds | 10: no wait where the last owner handed over (less than T ago) */
/* SWITCH: NEWER_EPOCH_TAKEN | two | 10: goes on only if (the newest epoch is that of before the wait) */
/* SWITCH: CHECK_COUNTS_NOBODY | rounds | 10: more than half of those in by the newest epoch (after the wait, too) */
/* SWITCH: CHECK_SKIPS_OUT | two | 10: goes on only if every member it reaches still shows its nonce */
/* SWITCH: LEASE_COUNTS_LAST_EPOCH | three | 10: at least half of the members that are in (by the last epoch that is
   durable, not by one that was begun) */
/* SWITCH: EPOCH_NEEDS_NOBODY | three | 10: an epoch needs its superblock on at least half of the members that were in */
/* SWITCH: EPOCH_ON_ONE | two | 3: a new epoch is on all members that are in before anything depends on it */

#ifndef NB
#define NB	3
#endif
#ifndef FLAPS
#define FLAPS	2		/* changes of links */
#endif
#ifndef NEP
#define NEP	4
#endif
#ifndef ACTS
#define ACTS	2		/* activations of a host, and of host 0, the owner at first */
#endif
#ifndef ACTS0
#define ACTS0	ACTS
#endif
#define MAY_ACT(h)	(act[h] + 1 < ((h) == 0 -> ACTS0 : ACTS))
#define T	2

#define BIT(b)		(1 << (b))
#define ENOUGH_NOW	(CNT(s) * 2 > CNT(ep_in[e]))
#define HAS(m, b)	(((m) >> (b)) & 1)
#if NB == 2
#define CNT(m)		(HAS(m, 0) + HAS(m, 1))
#elif NB == 3
#define CNT(m)		(HAS(m, 0) + HAS(m, 1) + HAS(m, 2))
#else
#define CNT(m)		(HAS(m, 0) + HAS(m, 1) + HAS(m, 2) + HAS(m, 3))
#endif
#define ALL		(BIT(NB) - 1)

/* a heartbeat block's nonce: 0 released, a host's, or handed over to a host's */
#define NONCE(h)	(1 + (h) + 2 * act[h])
#define NEXT(h)		(NONCE(h) + 2)
#define HANDED(n)	((n) + 8)

#define IDLE	0		/* or watching */
#define CLAIM	1		/* writes its nonce, waits T */
#define HAND	2		/* writes its nonce where it was handed over */
#define OWN	3

/* backends */
byte nonce[NB], sb_epoch[NB];
byte fresh[NB];			/* hosts that have not seen the last heartbeat */
/* ghosts */
byte flaps, nep = 1, ep_in[NEP], ep_hist[NEP];
byte in_force;			/* the newest epoch that something may depend on */
/* hosts */
byte link[2], phase[2], act[2];
byte age[2 * NB];		/* OWN: of the last successful heartbeat; IDLE: of the block, unchanged */
byte timer[2];			/* CLAIM: since the last nonce; HAND: since the first read */
byte todo[2];			/* members that the nonce is still to be written to */
byte hb_to[2], hb_nonce[2], hb_age[2];	/* heartbeat in flight: backend + 1, nonce, since its read */
byte in[2], good[2];		/* members that are in by the last epoch that was raised */
byte cur[2], tip[2];		/* that epoch; the newest one that was begun */
byte ne[2], done[2];		/* epoch that is being written; members that have it */

/* never true: for the verifier to name */
hidden byte one_owner, history_in_force_is_kept;

hidden byte i, e, s;
hidden byte ok;

#define AGE(h, b)	age[(h) * NB + (b)]
#define YOUNG(h, b)	(HAS(LEASED(h), b) && AGE(h, b) < T)
#ifdef LEASE_COUNTS_LAST_EPOCH
#define LEASED(h)	ep_in[tip[h]]
#else
#define LEASED(h)	in[h]
#endif
#if NB == 2
#define BEATS(h)	(YOUNG(h, 0) + YOUNG(h, 1))
#elif NB == 3
#define BEATS(h)	(YOUNG(h, 0) + YOUNG(h, 1) + YOUNG(h, 2))
#else
#define BEATS(h)	(YOUNG(h, 0) + YOUNG(h, 1) + YOUNG(h, 2) + YOUNG(h, 3))
#endif
#define LEASE(h)	(phase[h] == OWN && BEATS(h) * 2 >= CNT(LEASED(h)))

/* a host forgets; what it has in flight stays there */
inline idle(h)
{
	phase[h] = IDLE; timer[h] = 0; todo[h] = 0;
	in[h] = 0; good[h] = 0; cur[h] = 0; tip[h] = 0; ne[h] = 0; done[h] = 0;
	i = 0;
	do
	:: i < NB -> AGE(h, i) = 0; fresh[i] = fresh[i] | BIT(h); i++
	:: else -> break
	od;
	i = 0
}

/*
 * A lease that has run out is not renewed: its host can do no more than start
 * again as one that does not own. (So a host that crashes needs no step of its
 * own: it is one that lets its lease run out.)
 */
#ifdef LAPSED_LEASE_RENEWED
#define MAY_BEAT(h)	(phase[h] == OWN)
#define LAPSE(h)	skip
#else
#define MAY_BEAT(h)	LEASE(h)
#define LAPSE(h)	if :: phase[h] == OWN && !LEASE(h) -> idle(h) :: else fi
#endif

inline tick()
{
	d_step {
		i = 0;
		do
		:: i < 2 * NB && age[i] < T -> age[i]++; i++
		:: i < 2 * NB && age[i] == T -> i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < 2 ->
			if
			:: timer[i] < T && (phase[i] == CLAIM || phase[i] == HAND) -> timer[i]++
			:: else
			fi;
			if
			:: hb_to[i] != 0 && hb_age[i] < T -> hb_age[i]++
			:: else
			fi;
			i++
		:: else -> break
		od;
		LAPSE(0);
		LAPSE(1)
	}
}

/* e: the newest epoch that the host reaches, s: the members in by it that it reaches */
inline newest(h)
{
	ok = true;
	e = NEP;
	i = 0;
	do
	:: i < NB ->
		if
		:: !HAS(link[h], i)
		:: HAS(link[h], i) && e == NEP -> e = sb_epoch[i]
		:: HAS(link[h], i) && e != NEP && HAS(ep_hist[sb_epoch[i]], e) -> e = sb_epoch[i]
		:: HAS(link[h], i) && e != NEP && !HAS(ep_hist[sb_epoch[i]], e) && !HAS(ep_hist[e], sb_epoch[i]) ->
			ok = false
		:: else
		fi;
		i++
	:: else -> break
	od;
	if
	:: e == NEP -> ok = false; s = 0; e = 0
	:: else -> s = ep_in[e] & link[h]
	fi
}

/* --- the host that does not own ------------------------------------------ */

#if NB == 2
#define FRESH(h)	(HAS(fresh[0], h) | HAS(fresh[1], h) << 1)
#elif NB == 3
#define FRESH(h)	(HAS(fresh[0], h) | HAS(fresh[1], h) << 1 | HAS(fresh[2], h) << 2)
#else
#define FRESH(h)	(HAS(fresh[0], h) | HAS(fresh[1], h) << 1 | HAS(fresh[2], h) << 2 | HAS(fresh[3], h) << 3)
#endif
#define SEEN_BY(h, m)	(link[h] & (m) & FRESH(h))

/* the blocks of m that it reaches */
inline look(h, m)
{
	d_step {
		phase[h] == IDLE && SEEN_BY(h, m) != 0 ->
		s = SEEN_BY(h, m);
		i = 0;
		do
		:: i < NB && HAS(s, i) -> AGE(h, i) = 0; fresh[i] = fresh[i] & ~BIT(h); i++
		:: i < NB && !HAS(s, i) -> i++
		:: else -> break
		od;
		i = 0
	}
}

/* released, for whomever, or seen as it is for T */
#define OLD(h, b)	(nonce[b] == 0 || nonce[b] > HANDED(0) || AGE(h, b) == T && !HAS(fresh[b], h))

inline claim(h)
{
	atomic {
		phase[h] == IDLE && hb_to[h] == 0 && MAY_ACT(h) ->
		d_step {
			newest(h);
			ok = ok && ENOUGH_NOW;
			i = 0;
			do
			:: i < NB ->
				if
				:: HAS(s, i) && !OLD(h, i) -> ok = false
				:: else
				fi;
				i++
			:: else -> break
			od;
			if
			:: ok -> phase[h] = CLAIM; act[h]++; todo[h] = link[h]; timer[h] = 0; cur[h] = e
			:: else
			fi
		}
	}
}

/* handed over to this host's nonce: no wait */
inline take(h)
{
	atomic {
		phase[h] == IDLE && hb_to[h] == 0 && MAY_ACT(h) ->
		d_step {
			newest(h);
			ok = ok && ENOUGH_NOW;
			i = 0;
			do
			:: i < NB ->
				if
				:: HAS(s, i) && nonce[i] != HANDED(NEXT(h)) -> ok = false
				:: else
				fi;
				i++
			:: else -> break
			od;
			if
			:: ok -> phase[h] = HAND; act[h]++; todo[h] = s; timer[h] = 0
			:: else
			fi
		}
	}
}

inline claim_write(h, m)
{
	d_step {
		(phase[h] == CLAIM || phase[h] == HAND) && hb_to[h] == 0 && (todo[h] & link[h] & (m)) != 0 ->
		hb_to[h] = todo[h] & link[h] & (m); hb_nonce[h] = NONCE(h); hb_age[h] = 0
	}
}

/* its first lease counts from when it read the hand-over, or checked */
#ifdef HAND_OVER_IN_ANY_TIME
#define IN_TIME(h)	true
#define SINCE(h)	0
#else
#define IN_TIME(h)	(timer[h] < T)
#define SINCE(h)	timer[h]
#endif

inline own(h)
{
	phase[h] = OWN;
	cur[h] = e; tip[h] = e; in[h] = ep_in[e]; good[h] = in[h];
	i = 0;
	do
	:: i < NB && HAS(s, i) -> AGE(h, i) = SINCE(h); i++
	:: i < NB && !HAS(s, i) -> AGE(h, i) = T; i++
	:: else -> break
	od;
	timer[h] = 0;
	if
	:: !HAS(ep_hist[e], in_force) -> assert(history_in_force_is_kept)
	:: else
	fi
}

/* out or in: its owner may just have begun to do without the others */
#ifdef CHECK_SKIPS_OUT
#define CHECKED(h)	s
#else
#define CHECKED(h)	link[h]
#endif

#ifdef NEWER_EPOCH_TAKEN
#define SAME_EPOCH(h)	true
#else
#define SAME_EPOCH(h)	(e == cur[h])
#endif

#ifdef CHECK_COUNTS_NOBODY
#define ENOUGH		true
#else
#define ENOUGH		ENOUGH_NOW
#endif

/* every member that it reaches still shows its nonce, and they are enough */
inline check(h)
{
	atomic {
		phase[h] == CLAIM && todo[h] == 0 && timer[h] == T && hb_to[h] == 0 ->
		d_step {
			newest(h);
			ok = ok && SAME_EPOCH(h) && ENOUGH;
			i = 0;
			do
			:: i < NB ->
				if
				:: HAS(CHECKED(h), i) && nonce[i] != NONCE(h) -> ok = false
				:: else
				fi;
				i++
			:: else -> break
			od;
			if
			:: ok -> timer[h] = 0; own(h)
			:: else -> idle(h)
			fi
		}
	}
}

inline hand_done(h)
{
	d_step {
		phase[h] == HAND && todo[h] == 0 ->
		newest(h);
		if
		:: IN_TIME(h) && ok && ENOUGH_NOW -> own(h)
		:: else -> idle(h)
		fi
	}
}

/* in the middle of either: its nonce is in some blocks, and the next attempt finds it as any other's */
inline give_up(h)
{
	d_step { (phase[h] == CLAIM || phase[h] == HAND) && hb_to[h] == 0 -> idle(h) }
}

/* --- the owner ------------------------------------------------------------ */

inline beat_read(h, m)
{
	atomic {
		MAY_BEAT(h) && hb_to[h] == 0 && (link[h] & in[h] & (m)) != 0 ->
		d_step {
			s = link[h] & in[h] & (m);
			ok = true;
			i = 0;
			do
			:: i < NB && HAS(s, i) && nonce[i] != NONCE(h) -> ok = false; i++
			:: i < NB && !(HAS(s, i) && nonce[i] != NONCE(h)) -> i++
			:: else -> break
			od;
			i = 0
		}
		if
		:: ok -> hb_to[h] = s; hb_nonce[h] = NONCE(h)
		/* another's: it stops at the second, and may have written its own at the first */
		:: !ok -> hb_to[h] = s; hb_nonce[h] = NONCE(h); hb_age[h] = T
		:: !ok -> d_step { idle(h) }
		fi
	}
}

/* the write lands, or never does */
inline beat_write(h)
{
	d_step {
		hb_to[h] != 0 ->
		s = hb_to[h] & link[h];
		ok = MAY_BEAT(h) && hb_nonce[h] == NONCE(h) && hb_age[h] < T;
		i = 0;
		do
		:: i < NB && HAS(s, i) ->
			nonce[i] = hb_nonce[h];
			fresh[i] = BIT(0) | BIT(1);
			if
			:: ok -> AGE(h, i) = hb_age[h]
			:: else
			fi;
			i++
		:: i < NB && !HAS(s, i) -> i++
		:: else -> break
		od;
		if
		:: (phase[h] == CLAIM || phase[h] == HAND) && hb_nonce[h] == NONCE(h) ->
			todo[h] = todo[h] & ~s;
			if
			:: phase[h] == CLAIM -> timer[h] = 0
			:: else
			fi
		:: else
		fi;
		hb_to[h] = 0; hb_nonce[h] = 0; hb_age[h] = 0
	}
}

#ifdef EPOCH_NEEDS_NOBODY
#define MAY_RAISE(h, m)	((m) != 0)
#else
#define MAY_RAISE(h, m)	(CNT((m) & good[h]) * 2 >= CNT(good[h]))
#endif

/* those whom it does not reach go out */
inline epoch_begin(h)
{
	d_step {
		LEASE(h) && ne[h] == 0 && nep < NEP && (in[h] & ~link[h]) != 0 &&
		MAY_RAISE(h, in[h] & link[h]) ->
		ne[h] = nep; nep++;
		ep_in[ne[h]] = in[h] & link[h];
		ep_hist[ne[h]] = ep_hist[tip[h]] | BIT(ne[h]);
		tip[h] = ne[h]; done[h] = 0
	}
}

/* one that was out is let in again */
inline epoch_readmit(h, b)
{
	d_step {
		LEASE(h) && ne[h] == 0 && nep < NEP && (in[h] & ~link[h]) == 0 &&
		!HAS(in[h], b) && HAS(link[h], b) ->
		ne[h] = nep; nep++;
		ep_in[ne[h]] = in[h] | BIT(b);
		ep_hist[ne[h]] = ep_hist[tip[h]] | BIT(ne[h]);
		tip[h] = ne[h]; done[h] = 0
	}
}

inline epoch_write(h, b)
{
	atomic {
		LEASE(h) && ne[h] != 0 && HAS(ep_in[ne[h]] & ~done[h], b) ->
		if
		:: HAS(link[h], b) -> sb_epoch[b] = ne[h]; done[h] = done[h] | BIT(b)
		/* left half-written; another one follows it */
		:: else -> ne[h] = 0; done[h] = 0
		fi
	}
}

#ifdef EPOCH_ON_ONE
#define EPOCH_WRITTEN(h)	(done[h] != 0)
#else
#define EPOCH_WRITTEN(h)	(done[h] == ep_in[ne[h]])
#endif

inline epoch_done(h)
{
	d_step {
		LEASE(h) && ne[h] != 0 && EPOCH_WRITTEN(h) ->
		i = 0;
		do
		:: i < NB && HAS(ep_in[ne[h]] & ~in[h], i) -> AGE(h, i) = T; i++
		:: i < NB && !HAS(ep_in[ne[h]] & ~in[h], i) -> i++
		:: else -> break
		od;
		cur[h] = ne[h]; in[h] = ep_in[cur[h]]; good[h] = in[h];
		ne[h] = 0; done[h] = 0
	}
}

/* a clean stop: released, or handed over to the standby; some may not get it */
inline release_to(h, b, n)
{
	if
	:: HAS(in[h] & link[h], b) -> nonce[b] = n; fresh[b] = BIT(0) | BIT(1)
	:: skip
	fi
}

inline release(h, n)
{
	atomic {
		LEASE(h) && hb_to[h] == 0 && ne[h] == 0 ->
		release_to(h, 0, n);
		release_to(h, 1, n);
#if NB > 2
		release_to(h, 2, n);
#endif
#if NB > 3
		release_to(h, 3, n);
#endif
		d_step { idle(h) }
	}
}

#if NB == 2
#define EACH(op, h)	op(h, 0) :: op(h, 1)
#elif NB == 3
#define EACH(op, h)	op(h, 0) :: op(h, 1) :: op(h, 2)
#else
#define EACH(op, h)	op(h, 0) :: op(h, 1) :: op(h, 2) :: op(h, 3)
#endif

/* heartbeat blocks: one at a time, or all together */
#ifdef ROUNDS
#define BLOCKS(op, h)	op(h, ALL)
#elif NB == 2
#define BLOCKS(op, h)	op(h, 1) :: op(h, 2)
#elif NB == 3
#define BLOCKS(op, h)	op(h, 1) :: op(h, 2) :: op(h, 4)
#else
#define BLOCKS(op, h)	op(h, 1) :: op(h, 2) :: op(h, 4) :: op(h, 8)
#endif

inline flap(h, b)
{
	d_step { flaps < FLAPS -> flaps++; link[h] = link[h] ^ BIT(b) }
}

init {
	d_step {
		ep_in[0] = ALL; ep_hist[0] = 1;
		link[0] = ALL; link[1] = ALL;
		idle(1);
		i = 0;
		do
		:: i < NB -> nonce[i] = NONCE(0); fresh[i] = BIT(0) | BIT(1); AGE(0, i) = 0; i++
		:: else -> break
		od;
		phase[0] = OWN; in[0] = ALL; good[0] = ALL
	}
	do
	:: tick()
	:: EACH(flap, 0) :: EACH(flap, 1)
	:: BLOCKS(look, 0) :: BLOCKS(look, 1)
	:: claim(0) :: claim(1)
	:: take(0) :: take(1)
	:: BLOCKS(claim_write, 0) :: BLOCKS(claim_write, 1)
	:: check(0) :: check(1)
	:: hand_done(0) :: hand_done(1)
	:: give_up(0) :: give_up(1)
	:: BLOCKS(beat_read, 0) :: BLOCKS(beat_read, 1)
	:: beat_write(0) :: beat_write(1)
	:: epoch_begin(0) :: epoch_begin(1)
	:: EACH(epoch_readmit, 0) :: EACH(epoch_readmit, 1)
	:: EACH(epoch_write, 0) :: EACH(epoch_write, 1)
	:: epoch_done(0) :: epoch_done(1)
	:: release(0, 0) :: release(1, 0)
	:: release(0, HANDED(NEXT(1))) :: release(1, HANDED(NEXT(0)))
	od
}

/* a write is issued: from then on its epoch is in force */
active proctype writes()
{
end:
	do
	:: atomic { LEASE(0) && LEASE(1) -> assert(one_owner) }
	:: atomic {
		LEASE(0) && cur[0] != in_force ->
		if
		:: !HAS(ep_hist[cur[0]], in_force) -> assert(history_in_force_is_kept)
		:: else
		fi;
		in_force = cur[0]
	   }
	:: atomic {
		LEASE(1) && cur[1] != in_force ->
		if
		:: !HAS(ep_hist[cur[1]], in_force) -> assert(history_in_force_is_kept)
		:: else
		fi;
		in_force = cur[1]
	   }
	od
}
