/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Histories: which activation may go on by itself, split brain, and the
 * operator's word (rules 4, 5, 10).
 *
 * Four backends, one host at a time, that activates with whatever it reaches,
 * drops members that it loses, lets them in again, and crashes in the middle.
 * A volume with replicas=2 (M = 1) on all four. Of its data only the newest
 * acknowledged write is followed: on two of the members that are in (on one
 * where no more are), whose tables alone name its chunk. Whether its other legs
 * are current is members.pml's and readmit.pml's matter.
 *
 * An activation that goes on by itself must have one of the backends that hold
 * that write, and must descend from the epoch by which it was made: always as
 * long as no operator has named a history, and then wherever it could know.
 */

/* RUN: histories | -DFLAPS=3 -DCRASHES=2 -DNEP=5 -DFORCES=0 | -DHC4 | -m100000 -w24 */
/* RUN: half | -DFLAPS=4 -DCRASHES=1 -DNEP=4 -DFORCES=0 | -DHC4 | -m100000 -w24 */
/* RUN: operator | -DFLAPS=2 -DCRASHES=3 -DNEP=4 -DFORCES=1 | -DHC4 | -m100000 -w24 */

/* SWITCH: HALF_EPOCH_SPLITS | histories | 5: an epoch that a member in by it lacks was never in force */
/* SWITCH: ANY_HALF_ACTIVATES | half | 5: more than half of the newest history's members are there */
/* SWITCH: VOLUME_MISSES_ANY | histories | 5: no volume misses more than M of the backends that it may use */
/* SWITCH: VOLUME_IGNORES_OUT | histories | 5: counting those out that are not yet wholly rebuilt elsewhere */
/* SWITCH: SPLIT_TAKES_NEWEST | operator | 5: histories that diverged are refused */
/* SWITCH: FORCE_TAKES_ALL | operator | 3: a backend of another history is suspect */

#ifndef FLAPS
#define FLAPS	4
#endif
#ifndef CRASHES
#define CRASHES	3
#endif
#ifndef NEP
#define NEP	7
#endif
#ifndef FORCES
#define FORCES	1		/* histories that an operator names */
#endif

#define NB	4
#ifdef HALF_EPOCH_SPLITS
#define VOID_EPOCHS_COUNT
#endif
#include "epochs.h"

#define DOWN	0
#define EPOCH	1		/* an epoch is to be written before anything else */
#define RUN	2

byte link = ALL;
byte flaps, crashes, forces;
byte ph, cur, in, good, tip, ne, bad;
bool half;			/* an epoch was begun that could not be completed */
byte holders = 3;		/* backends with the newest acknowledged write */
byte named;			/* the epoch of the operator's word */
byte in_force;			/* the epoch by which it was made */
byte used;			/* epochs by which something was acknowledged and not given up */
byte rebuilt[NEP];		/* by epoch: members that are out and wholly rebuilt elsewhere */

bool giving_up;			/* the operator has named the history, its epoch is not yet durable */

hidden byte changed;

/* never true: for the verifier to name */
hidden byte newest_write_is_there, history_in_force_is_kept, activates_with_all_there, moves_with_all_there;

inline raise(m)
{
	ne = nep; nep++;
	ep_in[ne] = m; ep_hist[ne] = ep_hist[tip] | B(ne);
	rebuilt[ne] = rebuilt[cur] & ~(m);
	tip = ne
}

inline forget()
{
	ph = DOWN; cur = 0; in = 0; good = 0; tip = 0; ne = 0; bad = 0; half = 0; giving_up = 0
}

/* diverged histories: the highest number, as far as that goes */
#ifdef SPLIT_TAKES_NEWEST
inline refuse_split()
{
	e = 0;
	i = 0;
	do
	:: i < NB && HAS(reach, i) && eff[i] > e -> e = eff[i]; i++
	:: i < NB && !(HAS(reach, i) && eff[i] > e) -> i++
	:: else -> break
	od;
	ok = true
}
#else
#define refuse_split()	skip
#endif

#ifdef ANY_HALF_ACTIVATES
#define MAJORITY	(CNT(in & reach) * 2 >= CNT(in))
#else
#define MAJORITY	(CNT(in & reach) * 2 > CNT(in))
#endif
#ifdef VOLUME_MISSES_ANY
#define VOLUME_THERE	true
#elif defined(VOLUME_IGNORES_OUT)
#define VOLUME_THERE	(CNT(in & ~reach) <= 1)
#else
#define VOLUME_THERE	(CNT(ALL & ~(in & reach) & ~rebuilt[cur]) <= 1)
#endif

inline give_up()
{
	if
	:: giving_up ->
		giving_up = 0; holders = in; in_force = cur;
		if
		:: named != 0 && HAS(ep_hist[cur], named) -> used = B(cur); named = 0
		:: else -> used = used | B(cur)
		fi
	:: else
	fi
}

inline go_on()
{
	good = in;
	changed = ((in & ~reach) != 0);
	i = 0;
	do
	:: i < NB && HAS(in & reach, i) && sb_epoch[i] != cur -> changed = true; i++
	:: i < NB && !(HAS(in & reach, i) && sb_epoch[i] != cur) -> i++
	:: else -> break
	od;
	in = in & reach;
	tip = cur;
	if
	:: changed && nep < NEP -> raise(in); ph = EPOCH
	:: changed && nep == NEP -> forget()
	:: !changed -> ph = RUN; give_up()
	fi
}

#define NAMED	(named != 0 && HAS(ep_hist[cur], named) && !HAS(ep_hist[in_force], named))

inline activate()
{
	d_step {
		reach = link;
		void_epochs();
		newest_epoch();
		if
		:: !ok -> refuse_split()
		:: else
		fi;
		if
		:: ok ->
			cur = e; in = ep_in[e];
			ok = ((in & ~reach) == 0 || MAJORITY && VOLUME_THERE)
		:: else
		fi;
		if
		:: ok ->
			/* what it goes on with */
			changed = (forces == 0 && !HAS(ep_hist[cur], in_force));
			i = 0;
			do
			:: i < NB && HAS(reach, i) && (ep_hist[sb_epoch[i]] & used & ~ep_hist[cur]) != 0 ->
				changed = true; i++
			:: i < NB && !(HAS(reach, i) && (ep_hist[sb_epoch[i]] & used & ~ep_hist[cur]) != 0) -> i++
			:: else -> break
			od;
			if
			:: NAMED ->
				/* the operator's word, from before a crash */
				giving_up = 1
			:: !NAMED && changed -> assert(history_in_force_is_kept)
			:: !NAMED && !changed && HAS(ep_hist[cur], in_force) && (holders & in & reach) == 0 ->
				assert(newest_write_is_there)
			:: !NAMED && !changed && !HAS(ep_hist[cur], in_force) ->
				/* those whom he did not choose are there alone: they cannot know */
				giving_up = 1
			:: else
			fi;
			go_on()
		:: else ->
			if
			:: reach == ALL && forces == 0 -> assert(activates_with_all_there)
			:: else
			fi;
			forget()
		fi
	}
}

/* a backend of another history is a suspect */
#ifdef FORCE_TAKES_ALL
#define FOLLOWS(b)	true
#else
#define FOLLOWS(b)	HAS(ep_hist[cur], eff[b])
#endif

/* the operator names the history of backend b, and gives up what others have */
inline force(b)
{
	d_step {
		ph == DOWN && forces < FORCES && HAS(link, b) && nep < NEP ->
		forces++;
		reach = link;
		void_epochs();
		cur = eff[b]; in = 0;
		i = 0;
		do
		:: i < NB && FOLLOWS(i) -> in = in | B(i); i++
		:: i < NB && !FOLLOWS(i) -> i++
		:: else -> break
		od;
		in = in & ep_in[cur] & reach; good = in; tip = cur;
		if
		:: HAS(in, b) -> raise(in); ph = EPOCH; giving_up = 1; named = ne
		:: else -> forget()
		fi
	}
}

inline torn(b)
{
	if
	:: ne != 0 && HAS(ep_in[ne] & link, b) -> sb_epoch[b] = ne
	:: skip
	fi
}

inline crash()
{
	atomic {
		ph != DOWN && crashes < CRASHES ->
		crashes++;
		torn(0); torn(1); torn(2); torn(3);
		forget()
	}
}

inline epoch_to(b)
{
	if
	:: HAS(ep_in[ne] & link, b) -> sb_epoch[b] = ne
	:: else
	fi
}

inline write_epoch()
{
	d_step {
		ph != DOWN && ne != 0 ->
		epoch_to(0); epoch_to(1); epoch_to(2); epoch_to(3);
		if
		:: (ep_in[ne] & ~link) == 0 ->
			cur = ne; in = ep_in[ne]; good = in; bad = 0; half = 0; ne = 0; ph = RUN;
			give_up()
		:: (ep_in[ne] & ~link) != 0 && ph == EPOCH -> forget()
		:: (ep_in[ne] & ~link) != 0 && ph == RUN -> bad = in & ep_in[ne] & ~link; half = 1; ne = 0
		fi
	}
}

/* rules 4 and 10 */
#define MAY_RAISE(m)	((holders & (m)) != 0 && CNT(m) * 2 >= CNT(good))

inline drop()
{
	d_step {
		ph == RUN && ne == 0 && nep < NEP && (in & ~link) != 0 && MAY_RAISE(in & link) ->
		raise(in & link)
	}
}

/* nothing goes on before another one is durable */
#define HELD	half

/* one that had to stay is back: the uncompleted epoch is followed by another */
inline follow()
{
	d_step { ph == RUN && ne == 0 && HELD && (in & ~link) == 0 && nep < NEP -> bad = 0; raise(in) }
}

inline readmit(b)
{
	d_step {
		ph == RUN && ne == 0 && nep < NEP && !HELD && (in & ~link) == 0 && !HAS(in, b) && HAS(link, b) ->
		raise(in | B(b))
	}
}

/* acknowledged once nobody whose failure was seen is in */
inline write(a, b)
{
	d_step {
		ph == RUN && ne == 0 && !HELD && (in & ~link) == 0 && HAS(in, a) && HAS(in, b) && (a != b || CNT(in) == 1) ->
		holders = B(a) | B(b);
		in_force = cur; used = used | B(cur)
	}
}

/* a leg elsewhere for all that those who are out held */
inline rebuild(b)
{
	d_step {
		ph == RUN && ne == 0 && !HELD && (in & ~link) == 0 && in != ALL && CNT(in) > 1 && HAS(in & ~holders, b) &&
		(holders & in) != 0 && rebuilt[cur] != (ALL & ~in) ->
		rebuilt[cur] = ALL & ~in;
		holders = (holders & in) | B(b);
		in_force = cur; used = used | B(cur)
	}
}

init {
	d_step {
		ep_in[0] = ALL; ep_hist[0] = 1;
		in = ALL; good = ALL; ph = RUN
	}
	do
	:: d_step { flaps < FLAPS && HAS(link, 0) -> flaps++; link = link & ~B(0) }
	:: d_step { flaps < FLAPS && HAS(link, 1) -> flaps++; link = link & ~B(1) }
	:: d_step { flaps < FLAPS && HAS(link, 2) -> flaps++; link = link & ~B(2) }
	:: d_step { flaps < FLAPS && HAS(link, 3) -> flaps++; link = link & ~B(3) }
	:: d_step { !HAS(link, 0) -> link = link | B(0) }
	:: d_step { !HAS(link, 1) -> link = link | B(1) }
	:: d_step { !HAS(link, 2) -> link = link | B(2) }
	:: d_step { !HAS(link, 3) -> link = link | B(3) }
	:: crash()
	:: atomic { ph == DOWN && link != 0 -> activate() }
	:: force(0) :: force(1) :: force(2) :: force(3)
	:: write_epoch() :: drop() :: follow()
	:: readmit(0) :: readmit(1) :: readmit(2) :: readmit(3)
	:: write(0, 0) :: write(1, 1) :: write(2, 2) :: write(3, 3)
	:: write(0, 1) :: write(0, 2) :: write(0, 3) :: write(1, 2) :: write(1, 3) :: write(2, 3)
	:: rebuild(0) :: rebuild(1) :: rebuild(2) :: rebuild(3)
	:: nep == NEP -> break
	od
}
