// SPDX-License-Identifier: GPL-2.0-only
/*
 * The journal (kernel/journal.c): append, read-your-writes, destage, whole rows beside it, replay, loss of
 * legs and of ring members. One row of ec=2+1, two ring members.
 *
 * Cells, versions, parity and torn writes are as in flush.pml. Records: J, a block with its data; DEST, the
 * new parity of a row and the blocks that go with it; DONE, up to which version the row's blocks are in
 * their place, flushed; CSUM and ACTIVE for whole rows written straight to their place.
 *
 * Pages and checkpoint are flush.pml's: here the table jumps with the tail of the ring, which goes up to the
 * first record that is still needed. Each ring member has a prefix of the log; what was acknowledged both have.
 *
 * The ring may fail once while the pool runs: the writer has an error, its blocks are live in memory, and
 * their records are durable with the next that are, or never.
 *
 * A write through the ring is promised when it is acknowledged, flush or not. The one exception of rule 1 is
 * state 3 in a row that was written straight to its place, unflushed, and lost a leg in that same accident.
 */
/* RUN: small quick | -DMAXW=2 -DMAXC=1 | -DCOLLAPSE | -m100000 */
/* RUN: w2c2 | -DMAXW=2 -DMAXC=2 | -DCOLLAPSE | -m100000 */
/* RUN: w3c2 | -DMAXW=3 -DMAXC=2 | -DCOLLAPSE | -m100000 */
/* RUN: w3c1 | -DMAXW=3 -DMAXC=1 | -DCOLLAPSE | -m100000 */

/* SWITCH: WHOLE_ROW_PAST_JOURNAL | small | any write that touches a row with live journal records goes through the ring */
/* SWITCH: LIVE_ENDS_EARLY | w3c1 | a journal record is live until its destage is flushed and recorded */
/* SWITCH: WHOLE_ROW_DEGRADED | w2c2 | whole rows go straight to their place, unless the chunk lacks a leg */
/* SWITCH: NO_DESTAGE_RECORD | small | a destage record with the new parity enters the ring before the row is updated */
/* SWITCH: DESTAGE_VALUES_ELSEWHERE | small | a destage record holds the new values of all units that it changes */
/* SWITCH: DESTAGE_OF_UNRECORDED | w3c1 | the parity of a destage record is computed from recorded values only */
/* SWITCH: DONE_BEFORE_FLUSH | small | no record is freed whose destage is not flushed */
/* SWITCH: ROW_NOT_REWRITTEN | small | replay first rewrites the rows that have a destage record */
/* SWITCH: RECONCILE_BEFORE_REWRITE | w3c1 | replay first rewrites ... and then reconciles */
/* SWITCH: UNION_NOT_COPIED | w2c2 | replay: the union, first copied to every ring member that is in */
/* SWITCH: ACK_ON_ONE_MEMBER | small | acknowledged: one sequential write to every ring member */
/* SWITCH: DESTAGE_BEFORE_DONE | w3c1 | a row's next destage begins when the last one is flushed and recorded */
/* SWITCH: READ_PLACE_FIRST | small | reads see journaled blocks first */
/* SWITCH: ORDINARY_USES_RESERVE | w3c1 | room is reserved for destaging */
/* SWITCH: ROOM_UNDER_LOCK | w3c1 | deadlock | room: who waits for it holds no lock */
/* SWITCH: PLACE_BEFORE_RECORD | small | nothing of a row goes to its place before the records of its blocks are durable */
/* SWITCH: RESERVE_TAKEN_TWICE | w3c1 | a destage begins when its room is there */

#define P	2
#define NV	5
#define GARBAGE	(NV * NV)
#define WRITES	(NV - 3)
#ifdef TRACE
#define SCRATCH
#else
#define SCRATCH	hidden
#endif
#define BIT(v)	(1 << (v))
#define ZERO(u, v) ((vz[u] >> (v)) & 1)
#define CONT(u, v) (ZERO(u, v) -> 0 : (v))
#define PAIR(a, b) ((a) * NV + (b))
#define KEY(u, v) ((u) == P -> (v) / NV + (v) % NV : (v))

#ifdef ORDINARY_USES_RESERVE
#define NR	6
#define ORDINARY 0
#elif defined(RESERVE_TAKEN_TWICE)
#define NR	7
#define ORDINARY 2
#else
#define NR	9
#define ORDINARY 5			/* a flush's; a destage's record, and that it is done */
#endif
/* records */
#define J(u, v)		((u) * 8 + (v))				/* 0.. */
#define CSUM(u, v)	(32 + (u) * 32 + (v))			/* 32.. */
#define DEST(m, p)	(128 + (m) * 32 + (p))			/* 128.. */
#define DONE(a, b)	(256 + (a) * 8 + (b))			/* 256.. */
#define FULL(a, b)	(320 + (a) * 8 + (b))			/* 320.. the same, of a whole row */
#define ACTIVE		400

/* legs and ring members */
byte cur[3];
int maybe[3];
int infl[3];
byte lost;
short ring[NR];
byte nr, has[2];			/* the log; how much of it each member has, durably */
byte ring_lost;
byte tab[3];				/* the table as of the ring's tail */

/* the host's memory */
bool up;
byte comp[2];				/* what a read must give */
byte live[2];				/* newest live journal record of a unit, 0: none */
byte place[3], app[3];			/* value of the place: complete; last put into the ring */
bool lock;
byte act;				/* 0, 1 appended, 2 durable */

#define W_IDLE		0
#define W_APPEND	1
#define W_COMMIT	2
#define W_ACTIVATE	3
#define W_ISSUE		4
#define W_COMPLETE	5
byte wpc[2], wu[2], wv[2], wo[2];	/* wu 2: the whole row, wv and wo */

#define D_IDLE		0
#define D_RECORD	1
#define D_COMMIT	2
#define D_ISSUE		3
#define D_COMPLETE	4
#define D_FLUSH		5
#define D_DONE		6
#define D_END		7
byte dpc, dm, dv[2], dp;		/* destage: units, their versions, parity */
byte dc[2];				/* versions in their place since the last DONE */

#define F_IDLE		0
#define F_DEVICES	1
#define F_RECORD	2
#define F_COMMIT	3
byte fpc, snap[3], asked[2];
bool pending, captured;			/* a row that was written straight has no record yet; its flush runs */

byte rpc;

/* what was promised */
byte nv[2];
int vz[2], lostv[2], base[2], later[2];
int straight[2];			/* versions that went straight to their place */
bool accident;				/* a leg was lost since the pool was last up */
byte nw, ncrash;
bool failed;				/* the ring has */

SCRATCH byte i, x, y, z;
SCRATCH byte acknowledged_data_kept, d0_in_place, d1_in_place, parity_fits, room_was_reserved, reads_its_writes;	/* assertions' names */
SCRATCH byte ok, pz, old0, old1;
SCRATCH byte jv[2];			/* replay: newest J */
SCRATCH byte inplace[2];			/* replay: what is in its place */
SCRATCH byte dest, destp, dest0, dest1;

inline append(r)
{
	room_was_reserved = (nr < NR);
	assert(room_was_reserved);
	ring[nr] = r;
	nr++
}

inline commit()
{
	has[0] = (ring_lost == 1 -> 0 : nr);
#ifdef ACK_ON_ONE_MEMBER
	if
	:: ring_lost == 1 -> has[1] = nr
	:: else
	fi;
#else
	has[1] = (ring_lost == 2 -> 0 : nr);
#endif
	if
	:: act == 1 -> act = 2
	:: else
	fi
}

inline flush_devices()
{
	i = 0;
	do
	:: i < 3 -> maybe[i] = (lost == i + 1 -> 0 : BIT(cur[i]) | infl[i]); i++
	:: else -> break
	od
}

inline issue(c, v)
{
	if
	:: lost != (c) + 1 -> maybe[c] = maybe[c] | BIT(v); infl[c] = infl[c] | BIT(v)
	:: else
	fi
}

inline complete(c, v)
{
	if
	:: lost != (c) + 1 -> infl[c] = infl[c] & ~BIT(v); cur[c] = v
	:: else
	fi;
	place[c] = v
}

inline promise(u, v)
{
	if
	:: later[u] & BIT(v) ->
		base[u] = v;
		later[u] = later[u] & ~(BIT((v) + 1) - 1)
	:: else
	fi
}

#define MAY(u) (nv[u] <= WRITES)
/* room is asked for before the row is locked; there is one row, so nobody else takes it then */
#ifdef ROOM_UNDER_LOCK
#define ADMITTED 1
#define ROOM(n)	(nr + (n) <= NR - ORDINARY)
#else
#define ADMITTED (nr + 2 <= NR - ORDINARY)
#define ROOM(n)	1
#endif
#ifdef WHOLE_ROW_PAST_JOURNAL
#define JOURNALED 0
#else
#define JOURNALED (live[0] || live[1])
#endif
#ifdef WHOLE_ROW_DEGRADED
#define LACKS_A_LEG 0
#else
#define LACKS_A_LEG lost
#endif

proctype writer(byte w)
{
end:	do
	:: atomic {
		up && wpc[w] == W_IDLE && !lock && ADMITTED && nw < MAXW && (w == 0 || wpc[0]) && (MAY(0) || MAY(1)) ->
		if
		:: MAY(0) -> wu[w] = 0; wv[w] = nv[0]
		:: MAY(1) -> wu[w] = 1; wv[w] = nv[1]
		:: MAY(0) && MAY(1) -> wu[w] = 2; wv[w] = nv[0]; wo[w] = nv[1]
		fi;
		d_step {
			nw++;
			lock = 1;
			if
			:: wu[w] == 2 ->
				later[0] = later[0] | BIT(wv[w]);
				later[1] = later[1] | BIT(wo[w]);
				nv[0]++;
				nv[1]++;
				wpc[w] = (JOURNALED || LACKS_A_LEG -> W_APPEND : W_ACTIVATE)
			:: else ->
				later[wu[w]] = later[wu[w]] | BIT(wv[w]);
				nv[wu[w]]++;
				wpc[w] = W_APPEND
			fi
		}
	   }

	/* through the ring */
	:: d_step {
		up && wpc[w] == W_APPEND && ROOM((wu[w] == 2 -> 2 : 1)) ->
		append(J((wu[w] == 2 -> 0 : wu[w]), wv[w]));
		if
		:: wu[w] == 2 -> append(J(1, wo[w]))
		:: else
		fi;
		wpc[w] = W_COMMIT
	   }
	:: d_step {
		up && wpc[w] == W_COMMIT ->
		commit();
		x = (wu[w] == 2 -> 0 : wu[w]);
		comp[x] = wv[w];
		live[x] = wv[w];
		promise(x, wv[w]);
		if
		:: wu[w] == 2 -> comp[1] = wo[w]; live[1] = wo[w]; promise(1, wo[w])
		:: else
		fi;
		lock = 0;
		wpc[w] = W_IDLE; wu[w] = 0; wv[w] = 0; wo[w] = 0
	   }

	/* the ring cannot be written now: an error, and nothing is promised */
	:: d_step {
		up && wpc[w] == W_COMMIT && !failed ->
		failed = 1;
		x = (wu[w] == 2 -> 0 : wu[w]);
		comp[x] = wv[w];
		live[x] = wv[w];
		if
		:: wu[w] == 2 -> comp[1] = wo[w]; live[1] = wo[w]
		:: else
		fi;
		lock = 0;
		wpc[w] = W_IDLE; wu[w] = 0; wv[w] = 0; wo[w] = 0
	   }

	/* a whole row, straight to its place */
	:: d_step {
		up && wpc[w] == W_ACTIVATE && act == 0 && ROOM(1) ->
		append(ACTIVE);
		act = 1
	   }
	:: d_step {
		up && wpc[w] == W_ACTIVATE && act == 1 -> commit()
	   }
	:: d_step {
		up && wpc[w] == W_ACTIVATE && act == 2 -> 
		straight[0] = straight[0] | BIT(wv[w]);
		straight[1] = straight[1] | BIT(wo[w]);
		issue(0, wv[w]);
		issue(1, wo[w]);
		issue(P, PAIR(wv[w], wo[w]));
		wpc[w] = W_COMPLETE
	   }
	:: d_step {
		up && wpc[w] == W_COMPLETE ->
		complete(0, wv[w]);
		complete(1, wo[w]);
		complete(P, PAIR(wv[w], wo[w]));
		comp[0] = wv[w];
		comp[1] = wo[w];
		pending = 1;
#ifdef WHOLE_ROW_PAST_JOURNAL
		live[0] = 0;
		live[1] = 0;
#endif
		lock = 0;
		wpc[w] = W_IDLE; wu[w] = 0; wv[w] = 0; wo[w] = 0
	   }
	od
}

#ifdef RESERVE_TAKEN_TWICE
#define ITS_ROOM 1
#else
#define ITS_ROOM (nr + 2 <= NR)		/* the destage before it may still have it */
#endif
/* parity is computed from recorded values only */
#ifdef DESTAGE_OF_UNRECORDED
#define PLACE_RECORDED 1
#else
#define PLACE_RECORDED (!pending && !captured)
#endif

/* blocks that were destaged are read from their place when the destage is done */
proctype destage()
{
end:	do
	/* collect the row's blocks; parity of the rest of the row as it is in its place */
	:: d_step {
		up && dpc == D_IDLE && !lock && (live[0] || live[1]) && ITS_ROOM && PLACE_RECORDED ->
		dv[0] = live[0];
		dv[1] = live[1];
		dm = (live[0] -> 1 : 0) + (live[1] -> 2 : 0);
		dp = PAIR((live[0] -> live[0] : place[0]), (live[1] -> live[1] : place[1]));
		lock = 1;
		/* a whole row needs no record, when its data are in the ring: they are until it is done */
#ifdef NO_DESTAGE_RECORD
		dpc = D_ISSUE
#elif defined(PLACE_BEFORE_RECORD)
		dpc = (dm == 3 -> D_ISSUE : D_RECORD)
#else
		dpc = (dm == 3 -> D_COMMIT : D_RECORD)
#endif
	   }
	:: d_step {
		up && dpc == D_RECORD ->
		append(DEST(dm, dp));
		if
		:: dm == 1 -> app[0] = dv[0]
		:: else -> app[1] = dv[1]
		fi;
		app[P] = dp;
		dpc = D_COMMIT
	   }
	:: d_step {
		up && dpc == D_COMMIT ->
		commit();
		dpc = D_ISSUE
	   }
	:: d_step {
		up && dpc == D_ISSUE ->
		lock = 1;
		if
		:: dm & 1 -> issue(0, dv[0])
		:: else
		fi;
		if
		:: dm & 2 -> issue(1, dv[1])
		:: else
		fi;
		issue(P, dp);
		dpc = D_COMPLETE
	   }
	:: d_step {
		up && dpc == D_COMPLETE ->
		if
		:: dm & 1 -> complete(0, dv[0]); dc[0] = dv[0]
		:: else
		fi;
		if
		:: dm & 2 -> complete(1, dv[1]); dc[1] = dv[1]
		:: else
		fi;
		complete(P, dp);
#ifdef LIVE_ENDS_EARLY
		live[0] = (live[0] == dv[0] -> 0 : live[0]);
		live[1] = (live[1] == dv[1] -> 0 : live[1]);
#endif
		lock = 0;
		dpc = D_FLUSH
	   }
#ifdef DESTAGE_BEFORE_DONE
	:: d_step {
		up && dpc == D_FLUSH && (live[0] > dc[0] || live[1] > dc[1]) -> dpc = D_IDLE
	   }
#endif
	:: d_step {
		up && dpc == D_FLUSH ->
#ifndef DONE_BEFORE_FLUSH
		flush_devices();
#endif
		dpc = D_DONE
	   }
	:: d_step {
		up && dpc == D_DONE ->
		if
		:: dm == 3 ->
			append(FULL(dv[0], dv[1]));
			app[0] = dv[0];
			app[1] = dv[1];
			app[P] = dp
		:: else -> append(DONE(dc[0], dc[1]))
		fi;
		dpc = D_END
	   }
	:: d_step {
		up && dpc == D_END ->
		commit();
		live[0] = (live[0] <= dc[0] -> 0 : live[0]);
		live[1] = (live[1] <= dc[1] -> 0 : live[1]);
		dpc = D_IDLE; dm = 0; dv[0] = 0; dv[1] = 0; dp = 0; dc[0] = 0; dc[1] = 0
	   }
	od
}

#define IS(type, next)	(ring[0] >= type && ring[0] < next)
/* its writes are flushed and recorded */
#define ACTIVE_ENDS (ring[0] == ACTIVE && act == 2 && wpc[0] < W_ACTIVATE && wpc[1] < W_ACTIVATE && \
		     !pending && !captured)
#define ALL_DURABLE ((ring_lost == 1 || has[0] == nr) && (ring_lost == 2 || has[1] == nr))
#define SUPERSEDED (ALL_DURABLE && (live[ring[0] / 8] == 0 || ring[0] % 8 < live[ring[0] / 8]))
#define NEEDLESS (IS(DONE(0, 0), ACTIVE) || IS(CSUM(0, 0), DEST(0, 0)) || \
		  (dpc == D_IDLE && dc[0] + dc[1] == 0 && \
		   (IS(DEST(0, 0), DONE(0, 0)) || \
		    (ring[0] < CSUM(0, 0) && wpc[0] != W_COMMIT && wpc[1] != W_COMMIT && SUPERSEDED))))

proctype flush()
{
end:	do
	:: d_step {
		up && fpc == F_IDLE && pending ->
		pending = 0;
		captured = 1;
		snap[0] = place[0];
		snap[1] = place[1];
		snap[P] = place[P];
		asked[0] = comp[0];
		asked[1] = comp[1];
		fpc = F_DEVICES
	   }
	:: d_step {
		up && fpc == F_DEVICES ->
		flush_devices();
		fpc = F_RECORD
	   }
	:: d_step {
		up && fpc == F_RECORD && nr + 3 <= NR - 2 ->
		i = 0;
		do
		:: i < 3 ->
			if
			:: KEY(i, snap[i]) > KEY(i, app[i]) ->
				app[i] = snap[i];
				append(CSUM(i, snap[i]))
			:: else
			fi;
			i++
		:: else -> break
		od;
		fpc = F_COMMIT
	   }
	:: d_step {
		up && fpc == F_COMMIT ->
		commit();
		promise(0, asked[0]);
		promise(1, asked[1]);
		snap[0] = 0; snap[1] = 0; snap[P] = 0; asked[0] = 0; asked[1] = 0;
		captured = 0;
		fpc = F_IDLE
	   }

	/* the tail of the ring goes on; the table takes the record with it */
	:: d_step {
		up && nr > 0 && has[(ring_lost == 1 -> 1 : 0)] > 0 && (ACTIVE_ENDS || NEEDLESS) ->
		if
		:: ring[0] >= FULL(0, 0) && ring[0] != ACTIVE ->
			tab[0] = (ring[0] - FULL(0, 0)) / 8;
			tab[1] = (ring[0] - FULL(0, 0)) % 8;
			tab[P] = PAIR(tab[0], tab[1])
		:: ring[0] >= DEST(0, 0) && ring[0] < DONE(0, 0) ->
			tab[P] = (ring[0] - DEST(0, 0)) % 32;
			if
			:: (ring[0] - DEST(0, 0)) / 32 == 1 -> tab[0] = tab[P] / NV
			:: else -> tab[1] = tab[P] % NV
			fi
		:: ring[0] >= CSUM(0, 0) && ring[0] < DEST(0, 0) ->
			tab[(ring[0] - 32) / 32] = ring[0] % 32
		:: ring[0] == ACTIVE -> act = 0
		:: else
		fi;
		i = 0;
		do
		:: i < NR ->
			ring[i] = (i + 1 < nr -> ring[(i + 1) % NR] : 0);
			i++
		:: else -> break
		od;
		nr--;
		has[0] = (has[0] -> has[0] - 1 : 0);
		has[1] = (has[1] -> has[1] - 1 : 0)
	   }
	/* one that does not end is renewed */
	:: d_step {
		up && nr > 1 && ring[0] == ACTIVE && act == 2 && has[(ring_lost == 1 -> 1 : 0)] == nr && !ACTIVE_ENDS ->
		i = 0;
		do
		:: i + 1 < nr -> ring[i] = ring[i + 1]; i++
		:: else -> break
		od;
		ring[nr - 1] = ACTIVE
	   }
	od
}

inline forget()
{
	i = 0;
	do
	:: i < 2 ->
		comp[i] = 0; live[i] = 0; wpc[i] = 0; wu[i] = 0; wv[i] = 0; wo[i] = 0; dv[i] = 0; dc[i] = 0;
		asked[i] = 0;
		i++
	:: else -> break
	od;
	i = 0;
	do
	:: i < 3 -> place[i] = 0; app[i] = 0; snap[i] = 0; i++
	:: else -> break
	od;
	lock = 0; act = 0; pending = 0; captured = 0; dpc = 0; dm = 0; dp = 0; fpc = 0
}

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
		/* each member has what was durable there, and any part of the rest */
		do
		:: ring_lost != 1 && has[0] < nr -> has[0]++
		:: break
		od;
		do
		:: ring_lost != 2 && has[1] < nr -> has[1]++
		:: break
		od;
		if
		:: ring_lost == 0 -> ring_lost = 1; has[0] = 0
		:: ring_lost == 0 -> ring_lost = 2; has[1] = 0
		:: skip
		fi;
		/* the union */
		d_step {
			i = (has[0] > has[1] -> has[0] : has[1]);
			do
			:: nr > i -> nr--; ring[nr] = 0
			:: else -> break
			od
		}
		if
		:: power = 0
		:: power = 1
		fi;
		do
		:: c < 3 && lost == c + 1 -> c++
		:: c < 3 && lost != c + 1 ->
			v = 0;
			if
			:: power && !torn && maybe[c] & (maybe[c] - 1) && (c == P || nv[c] < NV - 1) ->
				torn = 1;
				if
				:: c == P -> v = GARBAGE
				:: else ->
					v = nv[c];
					nv[c]++;
					if
					:: later[c] ->
						straight[c] = straight[c] | (later[c] & straight[c] -> BIT(v) : 0);
						later[c] = later[c] | BIT(v)
					:: else
					fi
				fi
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
		if
		:: lost == 0 -> lost = 1
		:: lost == 0 -> lost = 2
		:: lost == 0 -> lost = 3
		:: skip
		fi;
		d_step {
			if
			:: lost && !accident ->
				/* only a leg that this accident took */
				if
				:: maybe[lost - 1] -> accident = 1; maybe[lost - 1] = 0; cur[lost - 1] = 0
				:: else
				fi
			:: else
			fi;
			power = 0;
			torn = 0;
			rpc = 1
		}
	   }
	od
}

inline settle(c, v)
{
	if
	:: lost != (c) + 1 && cur[c] != v -> maybe[c] = maybe[c] | BIT(v); cur[c] = v
	:: else
	fi
}

#define CELL(u) ((u) -> (ZERO(1, old1) -> 0 : cur[1]) : (ZERO(0, old0) -> 0 : cur[0]))

inline lose(u)
{
	if
	:: (lostv[u] >> (nv[u] - 1)) & 1 -> skip
	:: else ->
		assert(nv[u] < NV);
		vz[u] = vz[u] | BIT(nv[u]);
		lostv[u] = lostv[u] | BIT(nv[u]);
		nv[u]++
	fi;
	place[u] = nv[u] - 1
}

inline settle_row()
{
	if
	:: !ZERO(0, place[0]) -> settle(0, place[0])
	:: else
	fi;
	if
	:: !ZERO(1, place[1]) -> settle(1, place[1])
	:: else
	fi;
	place[P] = PAIR(place[0], place[1]);
	if
	:: CONT(0, place[0]) || CONT(1, place[1]) -> settle(P, place[P])
	:: else
	fi
}

/* as in flush.pml */
inline reconcile()
{
	old0 = place[0];
	old1 = place[1];
	pz = (CONT(0, place[P] / NV) == 0 && CONT(1, place[P] % NV) == 0);
	ok = pz || (lost != P + 1 && cur[P] != GARBAGE);
	x = (pz -> 0 : CONT(0, cur[P] / NV));
	y = (pz -> 0 : CONT(1, cur[P] % NV));
	if
	:: ZERO(0, old0) || (lost != 1 && cur[0] == old0) -> skip
	:: else ->
		if
		:: ok && (lost != 2 || ZERO(1, old1)) && y == CELL(1) && x == old0 -> skip
		:: else ->
			if
			:: lost != 1 -> place[0] = cur[0]
			:: else -> lose(0)
			fi
		fi
	fi;
	if
	:: ZERO(1, old1) || (lost != 2 && cur[1] == old1) -> skip
	:: else ->
		if
		:: ok && (lost != 1 || ZERO(0, old0)) && x == CELL(0) && y == old1 -> skip
		:: else ->
			if
			:: lost != 2 -> place[1] = cur[1]
			:: else -> lose(1)
			fi
		fi
	fi;
	settle_row()
}

/* the table and the records after it: place, live, act, and the destage that was not done */
inline replay()
{
	place[0] = tab[0];
	place[1] = tab[1];
	place[P] = tab[P];
	jv[0] = 0; jv[1] = 0; inplace[0] = 0; inplace[1] = 0; dest = 0; dest0 = 0; dest1 = 0; destp = 0;
	i = 0;
	do
	:: i < nr ->
		if
		:: ring[i] == ACTIVE -> act = 1
		:: ring[i] >= FULL(0, 0) && ring[i] != ACTIVE ->
			place[0] = (ring[i] - FULL(0, 0)) / 8;
			place[1] = (ring[i] - FULL(0, 0)) % 8;
			place[P] = PAIR(place[0], place[1]);
			inplace[0] = place[0];
			inplace[1] = place[1];
			dest = 0
		:: ring[i] >= DONE(0, 0) && ring[i] < FULL(0, 0) ->
			x = (ring[i] - DONE(0, 0)) / 8;
			y = (ring[i] - DONE(0, 0)) % 8;
			inplace[0] = (x -> x : inplace[0]);
			inplace[1] = (y -> y : inplace[1]);
			dest = 0
		:: ring[i] >= DEST(0, 0) && ring[i] < DONE(0, 0) ->
			dest = (ring[i] - DEST(0, 0)) / 32;
			destp = (ring[i] - DEST(0, 0)) % 32;
			/* the values are the record's own, the data are in J records: these may be freed when it is done */
			dest0 = destp / NV;
			dest1 = destp % NV;
#ifdef DESTAGE_VALUES_ELSEWHERE
			dest0 = jv[0];
			dest1 = jv[1];
#endif
			place[P] = destp;
			place[0] = (dest & 1 -> dest0 : place[0]);
			place[1] = (dest & 2 -> dest1 : place[1])
		:: ring[i] >= CSUM(0, 0) && ring[i] < DEST(0, 0) ->
			place[(ring[i] - 32) / 32] = ring[i] % 32
		:: else -> jv[ring[i] / 8] = ring[i] % 8
		fi;
		i++
	:: else -> break
	od;
	/* what the pending destage covers goes to its place now */
	if
	:: dest & 1 -> inplace[0] = dest0
	:: dest & 2 -> inplace[1] = dest1
	:: else
	fi;
	live[0] = (jv[0] > inplace[0] -> jv[0] : 0);
	live[1] = (jv[1] > inplace[1] -> jv[1] : 0)
}

inline rewrite()
{
#ifndef ROW_NOT_REWRITTEN
	if
	:: dest & 1 -> settle(0, dest0)
	:: dest & 2 -> settle(1, dest1)
	:: else
	fi;
	if
	:: dest -> settle(P, destp)
	:: else
	fi
#else
	skip
#endif
}

inline check()
{
#define hole(u) (accident && lost == (u) + 1 && ((lostv[u] >> comp[u]) & 1) && \
		 ((later[0] & straight[0]) || (later[1] & straight[1])))
	acknowledged_data_kept = (comp[0] == base[0] || (later[0] & BIT(comp[0])) || hole(0)) &&
		(comp[1] == base[1] || (later[1] & BIT(comp[1])) || hole(1));
	assert(acknowledged_data_kept);
	base[0] = comp[0];
	base[1] = comp[1];
	later[0] = 0;
	later[1] = 0;
	d0_in_place = (lost == 1 || ZERO(0, place[0]) || (cur[0] == place[0] && maybe[0] == BIT(cur[0])));
	d1_in_place = (lost == 2 || ZERO(1, place[1]) || (cur[1] == place[1] && maybe[1] == BIT(cur[1])));
	parity_fits = (lost == 3 || (CONT(0, place[0]) == 0 && CONT(1, place[1]) == 0) ||
			 (cur[P] != GARBAGE && CONT(0, cur[P] / NV) == CONT(0, place[0]) &&
			  CONT(1, cur[P] % NV) == CONT(1, place[1]) && maybe[P] == BIT(cur[P])));
	/* a row that is all in the ring needs nothing else */
	if
	:: live[0] && live[1] -> skip
	:: else ->
		assert(d0_in_place);
		assert(d1_in_place);
		assert(parity_fits)
	fi
}

proctype activate()
{
end:	do
	:: d_step {
		rpc == 1 ->
#ifndef UNION_NOT_COPIED
		has[0] = (ring_lost == 1 -> 0 : nr);
		has[1] = (ring_lost == 2 -> 0 : nr);
#endif
		rpc = 2
	   }
	:: d_step {
		rpc == 2 ->
		forget();
		replay();
#ifdef RECONCILE_BEFORE_REWRITE
		if
		:: act -> reconcile()
		:: else
		fi;
		rewrite();
#else
		rewrite();
		if
		:: act -> reconcile()
		:: else
		fi;
#endif
		act = 0;
		rpc = 3
	   }
	:: d_step { rpc == 3 -> flush_devices(); rpc = 4 }
	/* a new ring generation: the live journal records are written to all members */
	:: d_step {
		rpc == 4 ->
		i = 0;
		do
		:: i < NR -> ring[i] = 0; i++
		:: else -> break
		od;
		nr = 0;
		if
		:: live[0] -> append(J(0, live[0]))
		:: else
		fi;
		if
		:: live[1] -> append(J(1, live[1]))
		:: else
		fi;
		has[0] = (ring_lost == 1 -> 0 : nr);
		has[1] = (ring_lost == 2 -> 0 : nr);
		i = 0;
		do
		:: i < 3 -> tab[i] = place[i]; app[i] = place[i]; i++
		:: else -> break
		od;
		comp[0] = (live[0] -> live[0] : place[0]);
		comp[1] = (live[1] -> live[1] : place[1]);
		check();
		accident = 0;
		rpc = 0;
		up = 1
	   }
	od
}

/* what a read gives now: from the ring, or the place, or decoded */
#define PLACE(u) (lost == (u) + 1 || ZERO(u, place[u]) -> place[u] : cur[u])
#ifdef READ_PLACE_FIRST
#define READ(u)	PLACE(u)
#else
#define READ(u)	(live[u] -> live[u] : PLACE(u))
#endif

proctype reader()
{
end:	do
	:: d_step {
		up && !lock && (READ(0) != comp[0] || READ(1) != comp[1]) ->
		reads_its_writes = 0;
		assert(reads_its_writes)
	   }
	od
}

#define BUSY (wpc[0] || wpc[1] || dpc || fpc)
proctype idle()
{
	do
	:: up && !BUSY && rpc == 0 -> skip
	od
}

init {
	atomic {
		maybe[0] = 1; maybe[1] = 1; maybe[2] = 1;
		nv[0] = 1; nv[1] = 1;
		vz[0] = 1; vz[1] = 1;
		up = 1;
		run writer(0);
		run writer(1);
		run destage();
		run flush();
		run crash();
		run activate();
		run reader();
		run idle()
	}
}
