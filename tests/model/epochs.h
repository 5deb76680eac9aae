/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Epochs, and what an activation makes of them (rules 3, 5).
 *
 * An epoch is an index into ep_in[] and ep_hist[]: the members that are in by
 * it, and the epochs that it follows, itself included. Both are in the
 * superblock, so a table of them for all backends hides nothing. Indexes rise,
 * so an epoch's is above those of all that it follows.
 */

#define B(b)		(1 << (b))
#define HAS(m, b)	(((m) >> (b)) & 1)
#ifndef NB
#define NB		3	/* backends */
#endif
#if NB == 3
#define CNT(m)		(HAS(m, 0) + HAS(m, 1) + HAS(m, 2))
#else
#define CNT(m)		(HAS(m, 0) + HAS(m, 1) + HAS(m, 2) + HAS(m, 3))
#endif
#define ALL		((1 << NB) - 1)
#define NONE		15	/* no epoch */

byte nep = 1;
byte ep_in[NEP];
byte ep_hist[NEP];
byte sb_epoch[NB];		/* in the superblocks */

hidden byte i, j, e, x, reach;
hidden byte ok;
hidden byte eff[NB];

/*
 * Which epoch each reachable backend stands for. An epoch that a reachable
 * member lacks although it is in by it was never complete, so nothing depended
 * on it: it is passed over.
 */
inline void_epochs()
{
	i = 0;
	do
	:: i < NB ->
		eff[i] = sb_epoch[i];
#ifndef VOID_EPOCHS_COUNT
		do
		:: HAS(reach, i) ->
			ok = true;
			j = 0;
			do
			:: j < NB ->
				if
				:: HAS(reach & ep_in[eff[i]], j) && !HAS(ep_hist[sb_epoch[j]], eff[i]) ->
					ok = false
				:: else
				fi;
				j++
			:: else -> break
			od;
			if
			:: ok -> break
			:: else ->
				/* its parent: the newest of the others in its history */
				j = eff[i];
				x = ep_hist[j] & ~B(j);
				do
				:: !HAS(x, j) -> j--
				:: else -> break
				od;
				eff[i] = j
			fi
		:: else -> break
		od;
#endif
		i++
	:: else -> break
	od
}

/* ok: the histories agree; e: the newest epoch */
inline newest_epoch()
{
	e = NONE;
	ok = true;
	i = 0;
	do
	:: i < NB ->
		if
		:: HAS(reach, i) && e == NONE -> e = eff[i]
		:: HAS(reach, i) && e != NONE && HAS(ep_hist[eff[i]], e) -> e = eff[i]
		:: HAS(reach, i) && e != NONE && !HAS(ep_hist[eff[i]], e) && HAS(ep_hist[e], eff[i])
		:: HAS(reach, i) && e != NONE && !HAS(ep_hist[eff[i]], e) && !HAS(ep_hist[e], eff[i]) ->
			ok = false
		:: !HAS(reach, i)
		fi;
		i++
	:: else -> break
	od;
	ok = ok && e != NONE
}
